//! How the tables look that the programs draw.

/// Which lines, and where the name of a column stands that cannot be in the middle.
#[derive(Clone, Copy)]
pub enum Lines {
    /// Those of tablewriter 1, since 3.7.
    Box,
    /// Those of tablewriter 0, up to 3.6.
    Ascii,
}

/// A table of one row: names in the middle, values at the right.
pub fn table(lines: Lines, names: &[&str], row: &[String]) -> String {
    let (bar, corners) = match lines {
        Lines::Box => ("│", [["┌", "┬", "┐"], ["├", "┼", "┤"], ["└", "┴", "┘"]]),
        Lines::Ascii => ("|", [["+", "+", "+"]; 3]),
    };
    let line = if matches!(lines, Lines::Box) { "─" } else { "-" };
    let width = |(name, value): (&&str, &String)| name.len().max(value.chars().count());
    let widths: Vec<_> = names.iter().zip(row).map(width).collect();
    let rule = |[left, middle, right]: [&str; 3]| {
        let parts: Vec<_> = widths.iter().map(|width| line.repeat(width + 2)).collect();
        format!("{left}{}{right}\n", parts.join(middle))
    };
    let names = names.iter().zip(&widths).map(|(name, width)| {
        let free = width - name.len();
        let before = if matches!(lines, Lines::Box) { free / 2 } else { free.div_ceil(2) };
        format!(" {}{name}{} ", " ".repeat(before), " ".repeat(free - before))
    });
    let values = row.iter().zip(&widths).map(|(value, width)| format!(" {value:>width$} "));
    let names = names.collect::<Vec<_>>().join(bar);
    let values = values.collect::<Vec<_>>().join(bar);
    let [top, middle, bottom] = corners.map(rule);
    format!("{top}{bar}{names}{bar}\n{middle}{bar}{values}{bar}\n{bottom}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_in_the_middle_stands_where_each_tablewriter_puts_it() {
        let row = ["abcdefg".to_owned(), String::new()];
        let of = |lines| table(lines, &["HASH", "KEYS"], &row);
        assert_eq!(
            of(Lines::Box),
            "┌─────────┬──────┐\n│  HASH   │ KEYS │\n├─────────┼──────┤\n│ abcdefg │      │\n└─────────┴──────┘\n"
        );
        assert!(!of(Lines::Ascii).contains("|  HASH   |") && of(Lines::Ascii).contains("|   HASH  |"));
    }
}
