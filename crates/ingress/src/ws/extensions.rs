//! permessage-deflate in the form that a switch survives: no context kept across messages.
//!
//! With a context, a message can only be read by whoever has seen all before it; a new node has not. So the
//! client's offer is passed on with `server_no_context_takeover` and `client_no_context_takeover` (RFC 7692
//! section 7.1.1), and an answer that keeps a context is mended where the protocol allows it, else refused.

/// The offer to the node: permessage-deflate without contexts, where the client offered it at all. Other
/// extensions are declined by leaving them out.
pub(crate) fn offer(client: &[u8]) -> Option<String> {
    let client = std::str::from_utf8(client).ok()?;
    let offered = client.split(',').find(|e| name(e) == "permessage-deflate")?;
    let mut offer =
        String::from("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if let Some(bits) = parameters(offered).find(|p| p.starts_with("client_max_window_bits")) {
        offer.push_str("; ");
        offer.push_str(bits);
    }
    Some(offer)
}

/// The answer for the client, given the node's. `Err` where the node keeps a context although asked not to.
pub(crate) fn answer(node: &[u8]) -> Result<String, ()> {
    let node = std::str::from_utf8(node).map_err(drop)?.trim();
    if name(node) != "permessage-deflate" || node.contains(',') {
        return Err(());
    }
    if !parameters(node).any(|p| p == "server_no_context_takeover") {
        return Err(());
    }
    // The client compresses without a context from now on; a node that would have kept one can still read it.
    let mended = parameters(node).any(|p| p == "client_no_context_takeover");
    Ok(if mended {
        node.into()
    } else {
        format!("{node}; client_no_context_takeover")
    })
}

fn name(extension: &str) -> &str {
    extension.split(';').next().unwrap_or_default().trim()
}

fn parameters(extension: &str) -> impl Iterator<Item = &str> {
    extension.split(';').skip(1).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn offers_never_keep_a_context() {
        for (client, node) in [
            ("permessage-deflate", Some(BARE.to_string())),
            (
                "permessage-deflate; client_max_window_bits",
                Some(format!("{BARE}; client_max_window_bits")),
            ),
            (
                "x-other, permessage-deflate;server_max_window_bits=10",
                Some(BARE.to_string()),
            ),
            ("x-webkit-deflate-frame", None),
        ] {
            assert_eq!(offer(client.as_bytes()), node, "{client}");
        }
    }

    #[test]
    fn an_answer_that_keeps_a_context_is_mended_or_refused() {
        let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(answer(both.as_bytes()).unwrap(), both);
        let mended = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(
            answer(b"permessage-deflate; server_no_context_takeover").unwrap(),
            mended
        );
        assert!(answer(b"permessage-deflate").is_err());
        assert!(answer(b"x-other").is_err());
    }
}
