//! Whether a file's graph is one that can be run to its end, looked at before the runtime sees it.
//!
//! A loop in the model would be one in ours, and nothing could stop it: control flow is refused. ONNX also demands that
//! each value is made once, before it is used; the runtime takes a file in which one is made twice, and answers by
//! whichever it likes. And rten 0.27 goes round for ever in a file whose lengths lead into the midst of a message; so each
//! length is followed once, here. Only names and lengths are read; all else is the runtime's.
//!
//! Field numbers are those of onnx.proto3; the encoding is that of Protocol Buffers.

use std::collections::HashSet;

/// A message's fields that hold bytes: messages, texts.
struct Fields<'a>(&'a [u8]);

const GRAPH: u64 = 7;
const GRAPH_NODE: u64 = 1;
const GRAPH_INITIALIZER: u64 = 5;
const GRAPH_INPUT: u64 = 11;
const NODE_INPUT: u64 = 1;
const NODE_OUTPUT: u64 = 2;
const NODE_OPERATOR: u64 = 4;
const NODE_ATTRIBUTE: u64 = 5;
const ATTRIBUTE_GRAPHS: [u64; 2] = [6, 11];
const TENSOR_NAME: u64 = 8;
const VALUE_NAME: u64 = 1;

/// A message of onnx.proto3, as far as it has others in it.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Value,
    Type,
    TensorType,
    Shape,
    /// Without messages in it that matter.
    Leaf,
}

/// What the field of a message is; `None` for text and numbers.
fn inner(kind: Kind, field: u64) -> Option<Kind> {
    Some(match (kind, field) {
        (Kind::Model, GRAPH) => Kind::Graph,
        (Kind::Graph, GRAPH_NODE) => Kind::Node,
        (Kind::Graph, 11..=13) => Kind::Value,
        (Kind::Node, NODE_ATTRIBUTE) => Kind::Attribute,
        (Kind::Value, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Model, 8 | 14)
        | (Kind::Graph, GRAPH_INITIALIZER)
        | (Kind::Attribute, 5)
        | (Kind::Shape, 1) => Kind::Leaf,
        _ => return None,
    })
}

/// Follows every length of a message and of those in it.
fn follow(message: &[u8], kind: Kind) -> Result<(), String> {
    for field in Fields(message) {
        let (number, value) = field?;
        if let Some(kind) = inner(kind, number) {
            follow(value, kind)?;
        }
    }
    Ok(())
}

/// What is wrong with the graph in these bytes of a model.
pub(super) fn check(model: &[u8]) -> Result<(), String> {
    follow(model, Kind::Model)?;
    let graph = find(model, GRAPH)?.ok_or("it has no graph")?;
    let mut known = HashSet::new();
    for field in Fields(graph) {
        let name = match field? {
            (GRAPH_INITIALIZER, tensor) => find(tensor, TENSOR_NAME)?,
            (GRAPH_INPUT, value) => find(value, VALUE_NAME)?,
            _ => continue,
        };
        // Old files list their weights among the inputs as well.
        known.insert(name.unwrap_or_default());
    }
    for field in Fields(graph) {
        if let (GRAPH_NODE, node) = field? {
            check_node(node, &mut known)?;
        }
    }
    Ok(())
}

fn check_node<'a>(node: &'a [u8], known: &mut HashSet<&'a [u8]>) -> Result<(), String> {
    let operator = text(find(node, NODE_OPERATOR)?.unwrap_or_default());
    for field in Fields(node) {
        match field? {
            (NODE_INPUT, name) if !name.is_empty() && !known.contains(name) => {
                let name = text(name);
                return Err(format!(
                    "{operator} takes {name:?}, which nothing before it makes"
                ));
            }
            (NODE_ATTRIBUTE, attribute) => {
                for field in Fields(attribute) {
                    if ATTRIBUTE_GRAPHS.contains(&field?.0) {
                        return Err(format!("{operator} is control flow, which is not supported"));
                    }
                }
            }
            _ => {}
        }
    }
    for field in Fields(node) {
        if let (NODE_OUTPUT, name) = field?
            && !name.is_empty()
            && !known.insert(name)
        {
            let name = text(name);
            return Err(format!("{operator} makes {name:?}, which is there already"));
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last field with this number, as Protocol Buffers read one that is given twice.
fn find(message: &[u8], number: u64) -> Result<Option<&[u8]>, String> {
    let mut found = None;
    for field in Fields(message) {
        let (other, value) = field?;
        if other == number {
            if found.is_some() && number == GRAPH {
                return Err("it has two graphs".into());
            }
            found = Some(value);
        }
    }
    Ok(found)
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// A field's number and its bytes; numbers are passed over as no bytes.
    fn field(&mut self) -> Option<(u64, &'a [u8])> {
        let key = self.varint()?;
        let bytes = match key & 7 {
            0 => self.varint().map(|_| [].as_slice()),
            1 => self.take(8).map(|_| [].as_slice()),
            2 => {
                let length = self.varint()?;
                self.take(length)
            }
            5 => self.take(4).map(|_| [].as_slice()),
            _ => None,
        };
        Some((key >> 3, bytes?))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "it is cut short or damaged".into()))
    }
}
