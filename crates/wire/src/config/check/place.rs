//! Where keys are in the text.

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Error},
};

/// The parsed text, with the place of each value.
pub(super) struct Places<'a> {
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

/// One step of a key such as `pool[0].node[1].id`.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Places<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Error> {
        let table = DeTable::parse(text)?;
        Ok(Self { text, table })
    }

    pub(super) fn table(&self) -> &Spanned<DeTable<'a>> {
        &self.table
    }

    /// The line, from 1, at a byte of the text.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        line_at(self.text, offset)
    }

    /// The line of a key, or of as much of it as there is.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.walk(key).0.map_or(1, |offset| self.line_at(offset))
    }

    /// Whether the first step of a key is written out.
    pub(super) fn has(&self, key: &str) -> bool {
        self.walk(key).0.is_some()
    }

    /// Goes along a key as far as it is written out: where the last step found begins, and what it holds.
    fn walk(&self, key: &str) -> (Option<usize>, Node<'_, 'a>) {
        steps(key).fold(
            (None, Node::Table(self.table.get_ref())),
            |(offset, node), step| match node.enter(step) {
                Some((found, inner)) => (Some(found), inner),
                None => (offset, Node::Nothing),
            },
        )
    }
}

/// What further steps can go into.
enum Node<'t, 'a> {
    Table(&'t DeTable<'a>),
    Array(&'t DeArray<'a>),
    Nothing,
}

impl<'t, 'a> Node<'t, 'a> {
    fn enter(&self, step: Step<'_>) -> Option<(usize, Self)> {
        let (offset, value) = match (self, step) {
            (Node::Table(table), Step::Key(name)) => {
                let (key, value) = table.get_key_value(name)?;
                (key.span().start, value)
            }
            (Node::Array(array), Step::Index(n)) => {
                let value = array.get(n)?;
                (value.span().start, value)
            }
            _ => return None,
        };
        let inner = match value.get_ref() {
            DeValue::Table(table) => Node::Table(table),
            DeValue::Array(array) => Node::Array(array),
            _ => Node::Nothing,
        };
        Some((offset, inner))
    }
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|b| **b == b'\n').count() + 1
}

fn steps(key: &str) -> impl Iterator<Item = Step<'_>> {
    key.split(['.', '[']).filter(|s| !s.is_empty()).map(|step| {
        match step.strip_suffix(']').and_then(|n| n.parse().ok()) {
            Some(n) => Step::Index(n),
            None => Step::Key(step),
        }
    })
}
