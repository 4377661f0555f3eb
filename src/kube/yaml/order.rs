//! The order of names: runs of digits count as numbers, letters come behind everything else.

use std::cmp::Ordering;

/// Go's `unicode.IsLetter` and `unicode.IsDigit`, of which the standard library knows the first but for a few marks.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_numeric()
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Puts names in order. The comparison can go in a circle (`007` before `0b1` before `1` before `007`), which a sort of
/// the standard library need not bear; what kubectl prints of such names changes from run to run.
pub(super) fn sorted<T>(mut items: Vec<(&str, T)>) -> Vec<(&str, T)> {
    let letters = |(name, _): &(&str, T)| name.bytes().all(|byte| byte.is_ascii_alphabetic());
    if items.iter().all(letters) {
        // Most are: there it is the order of the bytes.
        items.sort_by_key(|(name, _)| *name);
        return items;
    }
    if items.len() < 2 {
        return items;
    }
    let right = sorted(items.split_off(items.len() / 2));
    let mut merged = Vec::with_capacity(items.len().saturating_add(right.len()));
    let (mut left, mut right) = (sorted(items).into_iter().peekable(), right.into_iter().peekable());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let next = if compare(b, a) == Ordering::Less { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left.chain(right));
    merged
}

/// `keyList.Less`.
fn compare(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    let (Some((before, rest_a)), Some(rest_b)) = (a.split_at_checked(at), b.get(at..)) else {
        return Ordering::Equal;
    };
    let first = |rest: &[char]| rest.first().copied().unwrap_or_default();
    let (one, other) = (first(rest_a), first(rest_b));
    match (is_letter(one), is_letter(other)) {
        (true, true) => return one.cmp(&other),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero behind digits of which one is not: part of a number that has begun.
    let begun =
        (one == '0' || other == '0') && before.iter().rev().take_while(|c| is_digit(**c)).any(|c| *c != '0');
    let number = |rest: &[char]| {
        let digits = rest.iter().take_while(|c| is_digit(**c)).count();
        let mut number = i64::from(begun);
        for c in rest.iter().take(digits) {
            let digit = i64::from(c.to_digit(10).unwrap_or_default());
            number = number.wrapping_mul(10).wrapping_add(digit);
        }
        (number, digits)
    };
    number(rest_a).cmp(&number(rest_b)).then(one.cmp(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        // From go-yaml's own test, TestSortedOutput.
        let due = [
            "", ".1", ".2", ".a", "1", "2", "a!10", "a/0001", "a/002", "a/3", "a/10", "a/11", "a/0012",
            "a/100", "a~10", "ab/1", "b/1", "b/01", "b/2", "b/02", "b/3", "b/03", "b1", "b01", "b3", "c2.10",
            "c10.2", "d1", "d7", "d7abc", "d12", "d12a",
        ];
        let names = sorted(due.iter().rev().map(|name| (*name, ())).collect());
        assert!(names.iter().map(|(name, ())| *name).eq(due));
        assert_eq!(compare("a2", "a10"), Ordering::Less);
        assert_eq!(compare("a-b", "ab"), Ordering::Less);
        assert_eq!(compare("f:a", "f:B"), Ordering::Greater);
        assert_eq!(compare("a", "a1"), Ordering::Less);
        assert_eq!(compare("a10", "a100"), Ordering::Less);
        assert_eq!(compare("a1_", "a12"), Ordering::Less);
        assert_eq!(compare(".", "k:{}"), Ordering::Less);
        // A circle, in which each is in its place all the same.
        let circle = [("0b1", "1"), ("1", "007"), ("007", "0b1")];
        assert!(circle.iter().all(|(a, b)| compare(a, b) == Ordering::Less));
        assert_eq!(sorted(vec![("007", 1), ("0b1", 2), ("1", 3)]).len(), 3);
    }
}
