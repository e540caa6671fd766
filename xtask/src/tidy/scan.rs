//! Tells code, strings and comments of a Rust file apart, line by line, and marks what is test code.
//!
//! No parser: it knows comments (nested), all string and character literals, and matching brackets. Macros are
//! read as the tokens they are.

/// One line, taken apart.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Without comments, and with the contents of strings left out (`""`).
    pub(super) code: String,
    /// The contents of the strings that begin on this line.
    pub(super) strings: Vec<String>,
    /// The text of its comments.
    pub(super) comment: String,
    /// Part of an item under `#[cfg(test)]`.
    pub(super) in_test: bool,
}

/// Takes a file apart.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut scanner = Scanner { text: text.chars().collect(), at: 0, lines: vec![Line::default()] };
    scanner.scan();
    let mut lines = scanner.lines;
    mark_tests(&mut lines);
    lines
}

/// Whether `word` stands in `code` as a whole word.
pub(super) fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let starts = !part_of_name(word.chars().next()) || !part_of_name(before.chars().next_back());
        starts && !(part_of_name(word.chars().next_back()) && part_of_name(after.chars().next()))
    })
}

struct Scanner {
    text: Vec<char>,
    at: usize,
    lines: Vec<Line>,
}

impl Scanner {
    fn scan(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' if !self.follows_a_name() && self.raw_hashes().is_some() => self.raw_string(),
                '\'' => self.quote(),
                _ => self.code(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn line(&mut self) -> &mut Line {
        self.lines.last_mut().expect("there is always a line")
    }

    /// Steps over one character; a line break begins the next [`Line`].
    fn bump(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        if c == '\n' {
            self.lines.push(Line::default());
        }
        Some(c)
    }

    fn code(&mut self) {
        if let Some(c) = self.bump()
            && c != '\n'
        {
            self.line().code.push(c);
        }
    }

    fn line_comment(&mut self) {
        while let Some(c) = self.peek(0)
            && c != '\n'
        {
            self.line().comment.push(c);
            self.at += 1;
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.bump() {
            if c != '\n' {
                self.line().comment.push(c);
            }
            match (c, self.peek(0)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => continue,
            }
            let second = self.bump().expect("just seen");
            self.line().comment.push(second);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.at += 1;
        let mut content = String::new();
        let begins = self.lines.len() - 1;
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => content.extend(self.bump()),
                _ => content.push(c),
            }
        }
        self.close_string(begins, content);
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        self.at += 2 + hashes;
        let mut content = String::new();
        let begins = self.lines.len() - 1;
        while let Some(c) = self.bump() {
            if c == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                break;
            }
            content.push(c);
        }
        self.close_string(begins, content);
    }

    fn close_string(&mut self, begins: usize, content: String) {
        self.lines[begins].code.push_str("\"\"");
        self.lines[begins].strings.push(content);
    }

    /// The number of `#` of the raw string that begins here, if one does.
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = self.text[self.at + 1..].iter().take_while(|c| **c == '#').count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    /// Whether the character before belongs to a name; `br` and `cr` begin raw strings too.
    fn follows_a_name(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.text[at]);
        let named = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        match before(1) {
            Some('b' | 'c') => named(before(2)),
            other => named(other),
        }
    }

    /// A character literal is left out, a lifetime is code.
    fn quote(&mut self) {
        let literal = match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => true,
            (Some(_), after) => after == Some('\''),
            (None, _) => false,
        };
        if !literal {
            return self.code();
        }
        // The quote, then at least one character (which may itself be an escaped quote), then up to the next quote.
        let escaped = self.peek(1) == Some('\\');
        self.at += if escaped { 3 } else { 2 };
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.at += 1;
        }
        self.at += 1;
        self.line().code.push_str("''");
    }
}

/// Marks each item under `#[cfg(test)]`, from the attribute to its closing brace or semicolon.
fn mark_tests(lines: &mut [Line]) {
    if lines.iter().any(|line| line.code.trim_start().starts_with("#![cfg(test)]")) {
        lines.iter_mut().for_each(|line| line.in_test = true);
        return;
    }
    let mut at = 0;
    while at < lines.len() {
        let code = lines[at].code.trim_start();
        if code.starts_with("#[cfg(test)]") || code.starts_with("#[cfg(all(test") {
            let end = item_end(lines, at);
            lines[at..=end].iter_mut().for_each(|line| line.in_test = true);
            at = end;
        }
        at += 1;
    }
}

/// The line on which the item that begins at line `start` ends.
pub(super) fn item_end(lines: &[Line], start: usize) -> usize {
    let mut depth = 0i32;
    let mut brackets = 0i32;
    for (at, line) in lines.iter().enumerate().skip(start) {
        for c in line.code.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 && brackets == 0 {
                        return at;
                    }
                }
                ';' if depth == 0 && brackets == 0 => return at,
                _ => {}
            }
        }
    }
    lines.len() - 1
}
