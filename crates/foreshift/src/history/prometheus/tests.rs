//! Against a small server on a free port: ranges in parts, what is missing, and each way to fail.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use super::super::{How, Reading};
use super::*;

/// A server on a free port that answers each request with what `answer` makes of its path.
fn server(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            if let Some(path) = path(&stream) {
                let (status, body) = answer(&path);
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        }
    });
    format!("http://{address}")
}

fn path(stream: &TcpStream) -> Option<String> {
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    Some(lines.first()?.split(' ').nth(1)?.to_owned())
}

fn source(from: &str, to: &str) -> Source {
    let reading = Reading {
        column: None,
        time_column: None,
        zone: "UTC".into(),
        step: None,
        aggregate: How::Mean,
        rate: false,
    };
    Source {
        file: None,
        reading,
        prometheus: None,
        query: None,
        from: Some(from.into()),
        to: Some(to.into()),
    }
}

fn parameter(path: &str, name: &str) -> f64 {
    let start = path.find(&format!("{name}=")).unwrap() + name.len() + 1;
    path[start..].split('&').next().unwrap().parse().unwrap()
}

fn matrix(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

fn refused(status: u16, body: &str) -> String {
    let body = body.to_owned();
    let url = server(move |_| (status, body.clone()));
    format!("{:#}", read(&url, "load", &source("0", "600")).unwrap_err())
}

#[test]
fn a_long_range_is_asked_for_in_parts_and_joined() {
    let url = server(|path| {
        let (start, end, step) = (
            parameter(path, "start"),
            parameter(path, "end"),
            parameter(path, "step"),
        );
        let count = ((end - start) / step) as usize + 1;
        assert!(count <= 11_000, "{path}");
        let values = (0..count).map(|i| {
            let at = start + i as f64 * step;
            format!("[{at},\"{}\"]", at / 60.0)
        });
        let values = values.collect::<Vec<_>>().join(",");
        (
            200,
            matrix(&format!(
                r#"{{"metric":{{"__name__":"load"}},"values":[{values}]}}"#
            )),
        )
    });
    let history = read(&url, "load", &source("0", "1500000")).unwrap();
    assert_eq!((history.series.len(), history.series.missing()), (25_001, 0));
    assert_eq!(history.series.start_ms(), 0);
    assert!(
        history
            .series
            .values()
            .iter()
            .enumerate()
            .all(|(i, y)| *y == i as f64)
    );
}

#[test]
fn nan_infinities_and_absent_points_are_missing() {
    let values = r#"{"metric":{},"values":[[0,"1"],[60,"NaN"],[120,"+Inf"],[240,"5"]]}"#;
    let url = server(move |_| (200, matrix(values)));
    let history = read(&url, "load", &source("0", "240")).unwrap();
    assert_eq!(
        history.series.iter().collect::<Vec<_>>(),
        [Some(1.0), None, None, None, Some(5.0)]
    );
    assert!(
        history.notes.iter().any(|note| note.contains("1 infinite")),
        "{:?}",
        history.notes
    );
}

#[test]
fn several_series_none_and_refusals_are_told_apart() {
    let ten: Vec<String> = (0..12)
        .map(|i| format!(r#"{{"metric":{{"__name__":"load","node":"n{i}"}},"values":[[0,"1"]]}}"#))
        .collect();
    for (status, body, reasons) in [
        (
            200,
            matrix(&ten.join(",")),
            ["gives 12 series", "load{node=\"n3\"}", "and 2 more"],
        ),
        (
            200,
            matrix(""),
            ["no series", "1970-01-01T00:00:00Z", "metric's name"],
        ),
        (
            400,
            r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}"#.into(),
            ["400", "refused", "parse error: unexpected end"],
        ),
        (
            502,
            "<html>Bad  gateway</html>".into(),
            ["502", "no Prometheus result", "Bad gateway"],
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.into(),
            ["vector", "", ""],
        ),
        (
            200,
            matrix(r#"{"metric":{},"values":[[0,"lots"]]}"#),
            ["lots", "", ""],
        ),
    ] {
        let error = refused(status, &body);
        assert!(reasons.iter().all(|reason| error.contains(reason)), "{error}");
    }
}

#[test]
fn silence_nobody_there_and_https_are_told_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let error = read_within(&url, "load", &source("0", "600"), Duration::from_millis(50)).unwrap_err();
    assert!(error.to_string().contains("in time"), "{error}");
    drop(silent);
    let error = read(&url, "load", &source("0", "600")).unwrap_err();
    assert!(error.to_string().contains("cannot reach"), "{error}");
    let error = read("https://127.0.0.1:1", "load", &source("0", "600")).unwrap_err();
    assert!(error.to_string().contains("http://"), "{error}");
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    for (from, to, reason) in [
        ("600", "0", "before"),
        ("now", "now", "before"),
        ("soon", "now", "--from \"soon\""),
        ("0", "1e10", "10,000,000"),
    ] {
        let error = read("http://127.0.0.1:1", "load", &source(from, to)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let range = Range::of(&source("2h", "now")).unwrap();
    assert!(
        (7_200_000..7_261_000).contains(&(range.to_ms - range.from_ms)),
        "{range:?}"
    );
}
