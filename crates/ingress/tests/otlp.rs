//! Sampled requests reach a collector as spans.

#![cfg(feature = "otlp")]

mod common;

use common::{
    Cluster,
    raw::{Raw, RawNode, Recorder},
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

#[tokio::test]
async fn a_sampled_request_becomes_a_span_between_the_clients_and_the_nodes() {
    let (node, collector) = (Recorder::start().await, RawNode::start().await);
    let traces = format!(
        "[ingress.traces]\nsample = 0.0\nservice = \"edge\"\nendpoint = \"http://{}/v1/traces\"",
        collector.address
    );
    let cluster = Cluster::listening("", &[node.address], "", &traces).await;
    let mut client = Raw::connect(cluster.address()).await;
    for flags in ["00", "01"] {
        client
            .send(format!(
                "GET /a?token=s HTTP/1.1\r\nHost: a\r\nx-user: ann\r\n\
                 traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}\r\n\r\n"
            ))
            .await;
        client.answer(false).await;
    }
    let mut told = collector.accept().await;
    let sent = told.request().await.expect("a request");
    told.ok("").await;
    assert_eq!(sent.path(), "/v1/traces");
    let request = ExportTraceServiceRequest::decode(&sent.body[..]).expect("a request of OTLP");
    let resource = &request.resource_spans[0];
    assert_eq!(
        resource.resource.as_ref().unwrap().attributes[0].key,
        "service.name"
    );
    let spans = &resource.scope_spans[0].spans;
    assert_eq!(spans.len(), 1, "the other was not sampled");
    let told = node.heads().remove(1).field("traceparent").unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        told,
        format!("00-{}-{}-01", hex(&spans[0].trace_id), hex(&spans[0].span_id))
    );
    assert_eq!(hex(&spans[0].parent_span_id), "00f067aa0ba902b7");
    assert!(spans[0].end_time_unix_nano >= spans[0].start_time_unix_nano);
    let text = format!("{:?}", spans[0].attributes);
    assert!(
        text.contains("\"/a\"") && !text.contains("token") && !text.contains("ann"),
        "{text}"
    );
}
