//! Snapshot files whose pages changed places: the SHA-256 at their end proves the order that they are put back in.

use std::fs;

use coldbolt::codec::checksum::sha256;
use support::content::content;
use support::history::Rng;
use support::{Input, coldbolt};

use crate::salvage::many;

const PAGE: usize = 4096;

fn any(rng: &mut Rng, below: usize) -> usize {
    usize::try_from(rng.between(0, i64::try_from(below).unwrap() - 1)).unwrap()
}

/// So many percent of the pages change places, two at a time, one of which has a number.
fn swapped(bytes: &[u8], percent: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let pages = bytes.len() / PAGE;
    let has_number =
        |bytes: &[u8], at: usize| bytes[at + 2..at + 8] == [0; 6] && matches!(bytes[at + 8], 1 | 2);
    for _ in 0..(pages * percent).div_ceil(200) {
        let pair = std::iter::repeat_with(|| (any(rng, pages) * PAGE, any(rng, pages) * PAGE));
        let mut pair = pair.filter(|(one, two)| has_number(&bytes, *one) || has_number(&bytes, *two));
        let (one, two) = pair.next().unwrap();
        (0..PAGE).for_each(|at| bytes.swap(one + at, two + at));
    }
    bytes
}

/// Pieces of so many pages in another order.
fn pieces(bytes: &[u8], pages: usize, rng: &mut Rng) -> Vec<u8> {
    let mut pieces: Vec<&[u8]> = bytes.chunks(pages * PAGE).collect();
    let mut shuffled = Vec::new();
    while !pieces.is_empty() {
        shuffled.extend(pieces.swap_remove(any(rng, pieces.len())));
    }
    shuffled
}

#[test]
fn pages_that_changed_places_are_put_back_if_the_sha256_at_the_end_proves_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut whole, mut all) = (0, 0);
    for seed in 1..4 {
        let good = many(300, seed);
        let trailer = sha256(&good);
        let truth = Input::write(dir.path(), "good.db", &[&good[..], &trailer].concat());
        let mut rng = Rng::of(seed);
        let mut damaged: Vec<(String, Vec<u8>)> = [1, 5, 10, 30]
            .map(|percent| (format!("{percent} % swapped"), swapped(&good, percent, &mut rng)))
            .into();
        damaged.push(("pieces of 64 KiB".to_owned(), pieces(&good, 16, &mut rng)));
        for (name, bytes) in damaged {
            let input = Input::write(dir.path(), "file.db", &[&bytes[..], &trailer].concat());
            let out = dir.path().join("out.db");
            let _ = fs::remove_file(&out);
            let run = coldbolt(["salvage", input.name(), "-o", out.to_str().unwrap(), "-w", "json"]);
            let answer = run.json();
            eprintln!(
                "seed {seed}, {name}: {} put back, complete: {}",
                answer["put_back"], answer["complete"]
            );
            all += 1;
            if answer["put_back"].as_u64().unwrap() > 0 {
                assert_eq!((run.code, &answer["complete"]), (0, &true.into()), "{name}: {run}");
                assert_eq!(content(&out), content(&truth.path), "{name}");
                whole += 1;
            } else {
                assert!(answer["altered"] == true || bytes == good, "{name}: {run}");
            }
            input.unchanged();
        }
    }
    // After two exchanges a page may lie where nothing tells that it does not belong there.
    assert!(whole * 10 >= all * 6, "{whole} of {all}");
}

/// The digest is of other bytes: nothing is proven, whatever order the pages are in.
#[test]
fn of_a_file_that_was_changed_besides_nothing_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let good = many(300, 9);
    let trailer = sha256(&good);
    let mut bytes = swapped(&good, 5, &mut Rng::of(5));
    let last = bytes.len() - PAGE / 2;
    bytes[last] ^= 1;
    let input = Input::write(dir.path(), "file.db", &[&bytes[..], &trailer].concat());
    let out = dir.path().join("out.db");
    let run = coldbolt(["salvage", input.name(), "-o", out.to_str().unwrap(), "-w", "json"]);
    let answer = run.json();
    assert_eq!((&answer["put_back"], &answer["altered"]), (&0.into(), &true.into()), "{run}");
    input.unchanged();
}
