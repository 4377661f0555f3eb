//! Texts of ours beside those that are due.

/// What differs, by name; and how many were equal.
#[derive(Default)]
pub struct Compared {
    pub equal: usize,
    pub differ: Vec<String>,
}

impl Compared {
    pub fn take(&mut self, name: &str, ours: &str, due: &str) {
        if ours == due {
            self.equal += 1;
            return;
        }
        let at = ours.bytes().zip(due.bytes()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| {
            let range = at.saturating_sub(60).min(text.len())..(at + 80).min(text.len());
            String::from_utf8_lossy(&text.as_bytes()[range]).into_owned()
        };
        self.differ.push(format!(
            "{name} at byte {at}:\n  ours {:?}\n  due  {:?}",
            around(ours),
            around(due)
        ));
    }

    /// Nothing may differ, and there must have been that many.
    #[track_caller]
    pub fn judge(self, what: &str, at_least: usize) {
        let Compared { equal, differ } = self;
        eprintln!("{what}: {equal} equal, {} differ", differ.len());
        assert!(differ.is_empty(), "{what}: {} differ:\n{}", differ.len(), differ.join("\n"));
        assert!(equal >= at_least, "{what}: only {equal} compared");
    }
}
