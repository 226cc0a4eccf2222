//! What marks a request on its way: an id that people search logs for, and its place in a distributed trace.
//!
//! Trace contexts follow W3C Trace Context, <https://www.w3.org/TR/trace-context/>: where traces are on, the proxy is a
//! span of its own between the client's and the node's; where they are off, `traceparent` passes as it came.
//!
//! Pure: random numbers come from the caller.

use crate::http1::line;

/// How a listener marks requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Marking {
    /// The header that carries the request's id.
    pub(crate) request_id: Option<String>,
    /// The share of new traces that is sampled; no traces where absent.
    pub(crate) sample: Option<f64>,
}

/// One request's marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) trace: Option<Trace>,
}

/// A request's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    /// The span of who sent it; a new trace has none.
    pub(crate) parent: Option<u64>,
    /// The proxy's own span.
    pub(crate) span: u64,
    pub(crate) sampled: bool,
}

/// Longest id that is taken from a client.
const ID_MAX: usize = 128;

impl Marking {
    /// Whether requests are marked at all.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.request_id.is_some() || self.sample.is_some()
    }

    /// Marks a request of which `sent` are the fields as the client sent them.
    ///
    /// A client's id is kept where it has 1 to 128 letters, digits, `.`, `_` or `-`, since it goes into logs; a trace goes on
    /// where its context is well-formed.
    pub(crate) fn mark<'a>(
        &self,
        sent: impl Fn(&str) -> Option<&'a [u8]>,
        mut random: impl FnMut() -> u128,
    ) -> Mark {
        let request_id = self.request_id.as_deref().map(|name| {
            let kept = sent(name).filter(|id| is_id(id));
            match kept.and_then(|id| std::str::from_utf8(id).ok()) {
                Some(id) => id.into(),
                None => format!("{:032x}", random()).into(),
            }
        });
        let trace = self.sample.map(|share| {
            let drawn = random();
            let span = (drawn >> 64) as u64 | 1; // zero is no span
            match sent("traceparent").and_then(parse) {
                Some((id, parent, sampled)) => Trace {
                    id,
                    parent: Some(parent),
                    span,
                    sampled,
                },
                None => Trace {
                    id: random() | 1,
                    parent: None,
                    span,
                    sampled: ((drawn as u64) as f64) < share * u64::MAX as f64,
                },
            }
        });
        Mark { request_id, trace }
    }

    /// Whether the node is told `name` by us, so that what the client sent is left out.
    pub(crate) fn replaces(&self, name: &str, mark: &Mark) -> bool {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        self.request_id.as_deref().is_some_and(is)
            || (self.sample.is_some() && is("traceparent"))
            // The state of a trace that does not go on says nothing.
            || (mark.trace.is_some_and(|t| t.parent.is_none()) && is("tracestate"))
    }

    /// The fields that the node is told, with their values.
    pub(crate) fn fields<'a>(&'a self, mark: &Mark) -> impl Iterator<Item = (&'a str, String)> {
        let id = self.request_id.as_deref().zip(mark.request_id.as_deref());
        let id = id.map(|(name, id)| (name, id.to_owned()));
        let trace = mark.trace.map(|trace| ("traceparent", trace.context()));
        id.into_iter().chain(trace)
    }

    /// Gives the client its request's id in the head of the answer; what the node said of it is left out.
    pub(crate) fn answer(&self, mark: &Mark, reply: &mut Vec<u8>) {
        let (Some(name), Some(id)) = (&self.request_id, &mark.request_id) else {
            return;
        };
        let is_it = |field: &[u8]| {
            field.get(name.len()) == Some(&b':') && field[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        };
        if reply.split_inclusive(|b| *b == b'\n').any(is_it) {
            let others = reply
                .split_inclusive(|b| *b == b'\n')
                .filter(|field| !is_it(field));
            *reply = others.flatten().copied().collect();
        }
        line(reply, name.as_bytes(), id.as_bytes());
    }

    /// Writes the fields for the node.
    pub(crate) fn write(&self, mark: &Mark, out: &mut Vec<u8>) {
        for (name, value) in self.fields(mark) {
            line(out, name.as_bytes(), value.as_bytes());
        }
    }
}

impl Trace {
    /// The `traceparent` that the node is told.
    fn context(&self) -> String {
        let flags = u8::from(self.sampled);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.id, self.span)
    }
}

fn is_id(id: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"._-".contains(b);
    (1..=ID_MAX).contains(&id.len()) && id.iter().all(allowed)
}

/// Trace, span and whether it is sampled. A version of the future may have more behind what is known.
fn parse(context: &[u8]) -> Option<(u128, u64, bool)> {
    let text = std::str::from_utf8(context.trim_ascii()).ok()?;
    let mut parts = text.splitn(5, '-');
    let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = version == "00" && parts.next().is_none();
    let lower_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let formed = lower_hex(version, 2) && lower_hex(id, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    if !formed || version == "ff" || (version == "00" && !known) {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((id, span, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_as_the_recommendation_says() {
        for (context, read) in [
            (GOOD, true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            (
                "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes",
                true,
            ),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                false,
            ),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false),
            ("", false),
        ] {
            assert_eq!(parse(context.as_bytes()).is_some(), read, "{context:?}");
        }
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_ours_and_a_new_one_begins_where_there_was_none() {
        let marking = Marking {
            request_id: None,
            sample: Some(1.0),
        };
        let mark = marking.mark(
            |name| (name == "traceparent").then_some(GOOD.as_bytes()),
            || 7 << 64,
        );
        let (_, told) = marking.fields(&mark).next().unwrap();
        assert_eq!(told, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
        assert_eq!(mark.trace.unwrap().parent, Some(0x00f0_67aa_0ba9_02b7));
        assert!(!marking.replaces("tracestate", &mark) && marking.replaces("TraceParent", &mark));

        let mark = marking.mark(|_| Some(b"rubbish"), || 6 << 64);
        let trace = mark.trace.unwrap();
        assert!(trace.parent.is_none() && trace.span == 7 && trace.sampled);
        assert!(marking.replaces("tracestate", &mark));
    }

    #[test]
    fn a_clients_id_is_kept_where_it_can_stand_in_a_log() {
        let marking = Marking {
            request_id: Some("X-Request-Id".into()),
            sample: None,
        };
        let long = "a".repeat(ID_MAX + 1);
        for (sent, kept) in [
            ("a-1.B_2", true),
            ("a b", false),
            ("a\"", false),
            ("", false),
            (&*long, false),
        ] {
            let mark = marking.mark(|_| Some(sent.as_bytes()), || 0xab);
            let id = mark.request_id.clone().unwrap();
            let made = "000000000000000000000000000000ab";
            assert_eq!(&*id, if kept { sent } else { made }, "{sent:?}");
            assert!(mark.trace.is_none() && marking.replaces("x-request-id", &mark));
        }
    }

    #[test]
    fn the_client_is_given_the_id_once() {
        let marking = Marking {
            request_id: Some("X-Id".into()),
            sample: None,
        };
        let mark = marking.mark(|_| None, || 1);
        let mut reply = b"HTTP/1.1 200 OK\r\nx-id: of-the-node\r\nX-Ids: 1\r\n".to_vec();
        marking.answer(&mark, &mut reply);
        let id = format!("X-Id: {:032x}\r\n", 1);
        assert_eq!(
            String::from_utf8(reply).unwrap(),
            format!("HTTP/1.1 200 OK\r\nX-Ids: 1\r\n{id}")
        );
    }

    proptest! {
        #[test]
        fn what_is_told_can_be_read_and_no_bytes_make_it_panic(
            sent in proptest::collection::vec(any::<u8>(), 0..80), drawn: u128, share in 0.0..=1.0,
        ) {
            let marking = Marking { request_id: Some("x".into()), sample: Some(share) };
            let mark = marking.mark(|_| Some(&sent), || drawn);
            let mut out = Vec::new();
            marking.write(&mark, &mut out);
            let context = mark.trace.unwrap().context();
            prop_assert!(parse(context.as_bytes()).is_some());
            prop_assert!(is_id(mark.request_id.unwrap().as_bytes()));
            let lines = out.iter().filter(|b| **b == b'\n').count();
            prop_assert_eq!(lines, 2);
        }
    }
}
