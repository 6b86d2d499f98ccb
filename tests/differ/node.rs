//! A response as a tree of fields, read from what Debug prints of it; the order of lists does not count.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Leaf(String),
    List(Vec<Node>),
    Struct(Vec<(String, Node)>),
}

impl Node {
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { rest: text };
        let mut node = parser.node();
        assert!(parser.rest.trim().is_empty(), "left over: {}", parser.rest);
        node.sort();
        node
    }

    fn sort(&mut self) {
        match self {
            Self::Leaf(_) => {}
            Self::List(items) => {
                items.iter_mut().for_each(Self::sort);
                items.sort();
            }
            Self::Struct(fields) => fields.iter_mut().for_each(|(_, node)| node.sort()),
        }
    }

    /// Takes out the fields of these names, wherever they stand.
    pub fn without(mut self, is_left_out: &dyn Fn(&str) -> bool) -> Self {
        match &mut self {
            Self::Leaf(_) => {}
            Self::List(items) => {
                *items = std::mem::take(items).into_iter().map(|item| item.without(is_left_out)).collect();
                items.sort();
            }
            Self::Struct(fields) => {
                let kept = std::mem::take(fields).into_iter().filter(|(name, _)| !is_left_out(name));
                *fields = kept.map(|(name, node)| (name, node.without(is_left_out))).collect();
            }
        }
        self
    }

    /// Paths where the two differ, with both values.
    pub fn differences(&self, other: &Self, path: &str, found: &mut Vec<String>) {
        match (self, other) {
            (Self::Struct(ours), Self::Struct(theirs)) if ours.len() == theirs.len() => {
                for ((name, one), (_, two)) in ours.iter().zip(theirs) {
                    one.differences(two, &format!("{path}.{name}"), found);
                }
            }
            (Self::List(ours), Self::List(theirs)) if ours.len() == theirs.len() => {
                for (index, (one, two)) in ours.iter().zip(theirs).enumerate() {
                    one.differences(two, &format!("{path}[{index}]"), found);
                }
            }
            (one, two) if one == two => {}
            (one, two) => found.push(format!("{path}: Kafka {one}, odradek {two}")),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                items.iter().try_for_each(|item| write!(f, "{item} "))?;
                f.write_str("]")
            }
            Self::Struct(fields) => {
                f.write_str("{")?;
                fields.iter().try_for_each(|(name, node)| write!(f, "{name}={node} "))?;
                f.write_str("}")
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn node(&mut self) -> Node {
        self.rest = self.rest.trim_start();
        if self.eat('[') {
            let mut items = Vec::new();
            while !self.eat(']') {
                items.push(self.node());
                self.eat(',');
            }
            return Node::List(items);
        }
        if let Some(quote) = self.rest.find('"').filter(|at| *at == 0 || self.rest.starts_with("b\"")) {
            return self.quoted(quote);
        }
        let end = self.rest.find([' ', '{', '(', ')', ']', '}', ',']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if self.eat('(') {
            let inner = self.node();
            assert!(self.eat(')'), "a tuple has one part here: {}", self.rest);
            return inner;
        }
        if !self.eat('{') {
            return Node::Leaf(word.into());
        }
        let mut fields = Vec::new();
        while !self.eat('}') {
            let (name, rest) = self.rest.split_once(':').expect("a field has a name");
            self.rest = rest;
            fields.push((name.trim().to_owned(), self.node()));
            self.eat(',');
        }
        Node::Struct(fields)
    }

    fn quoted(&mut self, quote: usize) -> Node {
        let mut is_escaped = false;
        let text = self.rest;
        for (at, c) in text.char_indices().skip(quote + 1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    self.rest = &text[at + 1..];
                    return Node::Leaf(text[..=at].into());
                }
                _ => {}
            }
        }
        panic!("a string without an end: {text}");
    }

    fn eat(&mut self, wanted: char) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[test]
fn fields_that_differ_are_found_by_their_path() {
    let one = Node::parse(r#"R { a: 1, list: [P { x: "b, c" }, P { x: "a" }], o: Some("s"), n: None }"#);
    let two = Node::parse(r#"R { a: 2, list: [P { x: "a" }, P { x: "b, c" }], o: None, n: None }"#);
    let mut found = Vec::new();
    one.differences(&two, "R", &mut found);
    assert_eq!(found, ["R.a: Kafka 1, odradek 2", "R.o: Kafka \"s\", odradek None"]);
}
