//! The scripted scenarios that every client library has to follow: `clients/cases.json`.

use foreshift_client::core::{Action, Core, Event, Loss, Message, Migrate, Persistence};
use serde_json::{Value, json};

fn cases() -> Value {
    let text = include_str!("../../../clients/cases.json");
    serde_json::from_str(text).expect("the file is JSON")
}

fn data(value: &Value) -> Message {
    match value.as_str() {
        Some(text) => Message::Text(text.into()),
        None => {
            let hex = value["hex"].as_str().expect("text or hex");
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
            Message::Binary((0..hex.len()).step_by(2).map(byte).collect())
        }
    }
}

fn shown(message: &Message) -> Value {
    match message {
        Message::Text(text) => json!(text),
        Message::Binary(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").into()
}

fn code(value: &Value) -> u16 {
    value
        .as_u64()
        .and_then(|c| c.try_into().ok())
        .expect("a close code")
}

fn event(step: &Value) -> Event {
    let conn = |event: &Value| event["conn"].as_u64().expect("a connection");
    if let Some(connect) = step.get("connect") {
        return Event::Connect {
            url: text(&connect["url"]),
        };
    }
    if let Some(opened) = step.get("opened") {
        return Event::Opened(conn(opened));
    }
    if let Some(received) = step.get("received") {
        return Event::Received(conn(received), data(&received["data"]));
    }
    if let Some(lost) = step.get("lost") {
        let loss = Loss {
            code: code(&lost["code"]),
            reason: text(&lost["reason"]),
            status: lost.get("status").map(code),
        };
        return Event::Lost(conn(lost), loss);
    }
    if let Some(message) = step.get("send") {
        return Event::Send(data(message));
    }
    if let Some(close) = step.get("close") {
        return Event::Close {
            code: code(&close["code"]),
            reason: text(&close["reason"]),
        };
    }
    assert!(step.get("time").is_some(), "an event: {step}");
    Event::Time
}

fn action(action: &Action, protocols: &[String]) -> Value {
    match action {
        Action::Open { conn, url, token } => {
            json!({ "open": { "conn": conn, "url": url, "protocols": protocols, "token": token } })
        }
        Action::Transmit(conn, message) => {
            json!({ "transmit": { "conn": conn, "data": shown(message) } })
        }
        Action::HangUp { conn, code, reason } => {
            json!({ "hang_up": { "conn": conn, "code": code, "reason": reason } })
        }
        Action::Ready => json!({ "ready": true }),
        Action::Deliver(message) => json!({ "deliver": shown(message) }),
        Action::Migrated { session, url } => json!({ "migrated": { "session": session, "url": url } }),
        Action::Reconnecting { in_ms } => json!({ "reconnecting": { "in_ms": in_ms } }),
        Action::Ended { code, reason } => json!({ "ended": { "code": code, "reason": reason } }),
    }
}

fn persistence(defaults: &Value, options: Option<&Value>) -> Persistence {
    let get = |name: &str| {
        let own = options.and_then(|o| o.get(name));
        own.unwrap_or(&defaults[name]).as_u64().expect("a number")
    };
    Persistence {
        backoff_min_ms: get("backoff_min_ms"),
        backoff_max_ms: get("backoff_max_ms"),
        attempts_max: get("attempts_max") as u32,
        stable_ms: get("stable_ms"),
        drain_ms: get("drain_ms"),
    }
}

#[test]
fn every_scenario_is_followed_to_the_letter() {
    let cases = cases();
    let scenarios = cases["scenarios"].as_array().expect("a list");
    assert!(scenarios.len() >= 38);
    for scenario in scenarios {
        let name = &scenario["name"];
        let mut core = Core::new(persistence(&cases["defaults"], scenario.get("options")));
        let mut random = scenario["random"]
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter();
        let mut random = || {
            random
                .next()
                .and_then(|r| r.as_f64())
                .expect("so many random numbers")
        };
        let mut protocols = vec!["foreshift.v1".to_owned()];
        for step in scenario["steps"].as_array().expect("a list") {
            let at = step["at"].as_u64().expect("a time");
            if let Some(connect) = step.get("connect") {
                protocols.extend(connect["protocols"].as_array().expect("a list").iter().map(text));
            }
            let actions = core.on(event(step), at, &mut random);
            let actions: Vec<Value> = actions.iter().map(|a| action(a, &protocols)).collect();
            assert_eq!(Value::from(actions), step["then"], "{name}, at {at}: {step}");
            if let Some(wakes) = step.get("wakes") {
                assert_eq!(json!(core.wakes()), *wakes, "{name}, at {at}: when it wakes");
            }
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_file() {
    assert_eq!(persistence(&cases()["defaults"], None), Persistence::default());
}

fn instruction(migrate: Option<Migrate>, reason: bool) -> Value {
    migrate.map_or(Value::Null, |m| {
        let mut value = json!({
            "url": m.url, "token": m.token, "within_ms": m.within_ms, "delay_ms": m.delay_ms,
        });
        if reason {
            value["reason"] = json!(m.reason);
        }
        value
    })
}

#[test]
fn instructions_are_told_from_the_applications_own_messages() {
    for case in cases()["instructions"].as_array().expect("a list") {
        let message = text(&case["message"]);
        assert_eq!(
            instruction(Migrate::from_message(&message), true),
            case["is"],
            "{message:?}"
        );
    }
}

#[test]
fn headers_are_read_or_passed_over() {
    for case in cases()["headers"].as_array().expect("a list") {
        let value = text(&case["value"]);
        assert_eq!(
            instruction(Migrate::from_header(&value), false),
            case["is"],
            "{value:?}"
        );
    }
}
