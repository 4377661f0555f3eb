//! One named change for each way a database can be wrong, through the binary: exit code, message, and what is still
//! shown.

use coldbolt::bolt::writer::Options;
use coldbolt::etcd::{BucketKey, Revision};

use support::content::database;
use support::image::Image;
use support::mutate::*;
use support::run::coldbolt_within_limits;
use support::{Input, Run, coldbolt};

const BIG: u32 = i32::MAX as u32;

/// Runs status, hashkv and inspect on a file that is damaged. Each ends soon, in 200 MB, and leaves the file as it was.
struct Asked {
    status: Run,
    hashkv: Run,
    inspect: Run,
}

fn ask(bytes: &[u8]) -> Asked {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "backup.db", bytes);
    let run = |args: &[&str]| {
        let run = coldbolt_within_limits(args.iter().copied().chain([input.name()]));
        if run.code != 0 {
            assert!(run.err.contains(input.name()), "the file is not named by {run}");
        }
        run
    };
    let asked = Asked { status: run(&["status"]), hashkv: run(&["hashkv"]), inspect: run(&["inspect"]) };
    // Whatever status finds, verify finds.
    let verified = run(&["verify"]);
    assert!(asked.status.code == 0 || verified.code == asked.status.code, "{verified}");
    // The raw views too: never a signal, a hang or a fault of ours.
    for args in [
        &["bolt", "pages"][..],
        &["bolt", "buckets"],
        &["inspect", "--hash", "-w", "json"],
        &["timeline", "--allow-damage"],
    ] {
        run(args);
    }
    let new = dir.path().join("new.db");
    let salvaged = coldbolt_within_limits(["salvage", input.name(), "-o", new.to_str().unwrap()]);
    assert!(
        matches!(salvaged.code, 0 | 1 | 3 | 4) && new.exists() == salvaged.text().contains("live keys"),
        "{salvaged}"
    );
    for (args, more) in [(["bolt", "keys"], ["key"]), (["bolt", "page"], ["9"])] {
        coldbolt_within_limits(args.iter().copied().chain([input.name()]).chain(more));
    }
    input.unchanged();
    asked
}

fn changed(change: impl FnOnce(&mut Image)) -> Asked {
    let mut image = Image::pristine();
    change(&mut image);
    ask(&image.sealed())
}

impl Asked {
    /// Every command says it: exit code 1, and on standard error the same words.
    #[track_caller]
    fn all_say(&self, parts: &[&str]) -> &Asked {
        for run in [&self.status, &self.hashkv, &self.inspect] {
            run.says(1, parts);
        }
        self
    }

    /// status and inspect say it. What is wrong does not touch the keyspace, so hashkv answers.
    #[track_caller]
    fn hashkv_answers(&self, parts: &[&str]) -> &Asked {
        self.status.says(1, parts);
        self.inspect.says(1, parts);
        assert_eq!((self.hashkv.code, self.hashkv.text()), (0, "3594300538, 41, 29\n"), "{}", self.hashkv);
        self
    }

    /// inspect still shows what can be read.
    #[track_caller]
    fn shows(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.inspect.text().contains(part), "`{part}` is not shown by {}", self.inspect);
        }
    }
}

#[test]
fn a_file_cut_in_half_is_too_short() {
    let image = Image::pristine();
    let asked = ask(&image.bytes[..image.bytes.len() / 2]);
    asked.all_say(&[
        "byte 0x7810",
        "the file has 30736 bytes, 15 pages of 4096 need 61440: 8 pages are missing or cut",
    ]);
    asked.shows(&[
        "database or snapshot file, cut off",
        "8 MISSING",
        "unknown: the file ends 30,704 bytes before its database does",
    ]);
}

#[test]
fn without_a_good_meta_page_nothing_can_be_read() {
    let mut image = Image::pristine();
    image.set(MAGIC, &[0; 4]);
    image.set(PAGE + ROOT, &[77]);
    let words = [
        "neither meta page can be used",
        "meta 0 (byte 0x0): magic is 0x00000000, 0xed0cdaed is due",
        "meta 1 (byte 0x1000): checksum is 0x",
    ];
    ask(&image.bytes).all_say(&words);
}

#[test]
fn without_any_magic_it_is_not_a_database() {
    let mut image = Image::pristine();
    image.put_metas(MAGIC, &[0; 4]);
    // Its pages still carry their numbers.
    ask(&image.bytes).all_say(&["neither meta page can be used", "this was a database"]);
    image.bytes.fill(0);
    let asked = ask(&image.bytes);
    for run in [&asked.status, &asked.hashkv, &asked.inspect] {
        run.says(3, &["is not an etcd snapshot or database: no bbolt meta page in its 61472 bytes"]);
    }
}

#[test]
fn with_one_bad_meta_page_the_numbers_are_right_and_damage_is_told() {
    let mut image = Image::pristine();
    image.set(0x48, &[0xaa; 8]);
    let asked = ask(&image.bytes);
    asked
        .all_say(&["page 0 (byte 0x0): checksum is 0xaaaaaaaaaaaaaaaa, its bytes give 0x", "[meta-invalid]"]);
    assert_eq!(asked.status.text(), "4f637741, 41, 24, 61 kB, \n");
    assert_eq!(asked.hashkv.text(), "3594300538, 41, 29\n");
    asked.shows(&["meta 0       txid 27", "INVALID", "24 live"]);
}

#[test]
fn an_impossible_page_size_is_named() {
    for size in [0u32, 12345, 128] {
        let words =
            format!("meta 0 (byte 0x0): page size is {size}; a power of two from 1024 to 65536 is due");
        changed(|image| image.put_metas(PAGE_SIZE, &size.to_le_bytes())).all_say(&[&words]);
        let words = format!(
            "page 0 (byte 0x0): page size is {size}; a power of two from 1024 to 65536 is due [meta-unusable]"
        );
        changed(|image| image.set(PAGE_SIZE, &size.to_le_bytes())).all_say(&[&words]).shows(&["24 live"]);
    }
    // A possible one that is not this file's.
    let asked = changed(|image| image.put_metas(PAGE_SIZE, &8192u32.to_le_bytes()));
    asked.all_say(&["page 11 (byte 0x16000)", "the page ends at byte 98304, the file at 61472"]);
}

#[test]
fn a_root_out_of_range_is_named() {
    for root in [0, 1, 15, 999_999, 1 << 60] {
        let words =
            format!("meta 0 (byte 0x0): root is page {root}, not between 2 and the high water mark 15");
        changed(|image| image.put_metas(ROOT, &u64::to_le_bytes(root))).all_say(&[&words]);
    }
    let asked = changed(|image| image.put_metas(ROOT, &[10]));
    asked.all_say(&["page 10"]);
}

#[test]
fn a_child_out_of_range_is_named_with_the_branch_that_names_it() {
    for child in [0, 1, 15, 999_999, 1 << 60, u64::MAX] {
        let words = format!(
            "page 9, element 1 (byte 0x9020), bucket key: page number {child} is not between 2 and the high water mark 15"
        );
        let asked =
            changed(|image| image.set(image.element(image.key_root(), 1) + CHILD, &u64::to_le_bytes(child)));
        asked.all_say(&[&words]).shows(&["page-out-of-range: 1", "2 to 41", "member       c21d7d6276a29c9"]);
    }
    let asked = changed(|image| image.set(image.item(image.bucket("key")).1[0], &999_999u64.to_le_bytes()));
    asked.all_say(&[
        "page 11 (byte 0xb000), bucket key: page number 999999 is not between 2 and the high water mark 15",
    ]);
    asked.shows(&["member       c21d7d6276a29c9"]);
}

#[test]
fn a_freelist_out_of_range_or_that_is_none_is_named() {
    for freelist in [1, 999_999, 1 << 60] {
        let words = format!(
            "the freelist cannot be read: page number {freelist} is not between 2 and the high water mark 15"
        );
        changed(|image| image.put_metas(FREELIST, &u64::to_le_bytes(freelist)))
            .hashkv_answers(&["page 0 (byte 0x0)", &words]);
    }
    let asked = changed(|image| image.put_metas(FREELIST, &5u64.to_le_bytes()));
    asked
        .hashkv_answers(&["page 5 (byte 0x5000)", "the meta page says freelist, the page is a leaf page"])
        .shows(&["24 live"]);
}

#[test]
fn a_high_water_mark_past_the_file_is_named() {
    for (high, missing) in [(30u64, 15u64), (1 << 40, (1 << 40) - 15), (1 << 60, (1 << 60) - 15)] {
        let words = format!(
            "the file has 61472 bytes, {high} pages of 4096 need {}: {missing} pages are missing or cut",
            high.saturating_mul(4096)
        );
        changed(|image| image.put_metas(HIGH_WATER, &high.to_le_bytes()))
            .all_say(&["byte 0xf020", &words])
            .shows(&["24 live"]);
    }
    let asked = changed(|image| image.put_metas(HIGH_WATER, &12u64.to_le_bytes()));
    asked.all_say(&["page 9, element 3 (byte 0x9040), bucket key: page number 13 is not between 2 and the high water mark 12"]);
}

#[test]
fn a_cycle_and_a_shared_page_are_named() {
    let child = |image: &Image, index| image.element(image.key_root(), index) + CHILD;
    let asked = changed(|image| image.set(child(image, 0), &[9]));
    asked.all_say(&[
        "page 9 (byte 0x9000), bucket key: page 9 is reached a second time (page 9, element 0 leads here)",
    ]);
    let asked = changed(|image| image.set(child(image, 1), &[5]));
    asked.all_say(&[
        "page 5 (byte 0x5000), bucket key: page 5 is reached a second time (page 9, element 1 leads here)",
    ]);
    // Page 7 belongs to page 6.
    let asked = changed(|image| {
        image.set(7 * PAGE, &header(7, LEAF, 0, PAGE));
        image.set(child(image, 3), &[7]);
    });
    asked.all_say(&[
        "page 7 (byte 0x7000), bucket key: page 7 is reached a second time (page 9, element 3 leads here)",
    ]);
    let asked = changed(|image| image.set(image.item(image.bucket("key")).1[0], &[11]));
    for run in [asked.status, asked.inspect] {
        run.says(1, &["page 11 (byte 0xb000), bucket key: page 11 is reached a second time (the bucket's entry in page 11 leads here)"]);
    }
    asked
        .hashkv
        .says(1, &["page 11, element 0 (byte 0xb010), bucket key, key alarm: invalid revision length: 5"]);
}

#[test]
fn a_count_past_the_page_is_named() {
    let count = 65535u16.to_le_bytes();
    let asked = changed(|image| image.set(image.key_leaf(0) + COUNT, &count));
    asked.all_say(&["page 5 (byte 0x5000), bucket key: 65535 elements are claimed, the page's 4096 bytes have room for 255"]);
    let asked = changed(|image| image.set(image.key_root() + COUNT, &count));
    asked.all_say(&["page 9 (byte 0x9000), bucket key: 65535 elements are claimed, the page's 4096 bytes have room for 255"]);
    let asked = changed(|image| image.set(image.root_page() + COUNT, &count));
    asked.all_say(&[
        "page 11 (byte 0xb000): 65535 elements are claimed, the page's 4096 bytes have room for 255",
    ]);
    let asked = changed(|image| image.set(image.item(image.bucket("members")).1[0] + 16 + COUNT, &count));
    asked.hashkv_answers(&[
        "page 11",
        "bucket members: 65535 elements are claimed, the page's 127 bytes have room for 6",
    ]);
    // Fewer elements than were written are missed by every other reader.
    let asked = changed(|image| image.set(image.key_leaf(0) + COUNT, &7u16.to_le_bytes()));
    asked.all_say(&[
        "page 5, element 0 (byte 0x5010)",
        "key lies at byte 144 of the page, what comes before it ends at byte 128",
    ]);
}

#[test]
fn a_position_or_length_past_the_page_is_named() {
    let big = BIG.to_le_bytes();
    let first = |image: &Image| image.element(image.key_leaf(0), 0);
    let place = "page 5, element 0 (byte 0x5010)";
    changed(|image| image.set(first(image) + POS, &big))
        .all_say(&[place, "key lies at bytes 2147483663 to 2147483680 of the page, which has 4096"]);
    changed(|image| image.set(first(image) + KSIZE, &big))
        .all_say(&[place, "key lies at bytes 144 to 2147483791 of the page, which has 4096"]);
    changed(|image| image.set(first(image) + VSIZE, &big))
        .all_say(&[place, "value lies at bytes 144 to 2147483808 of the page, which has 4096"]);
    let child = |image: &Image| image.element(image.key_root(), 2);
    let place = "page 9, element 2 (byte 0x9030)";
    changed(|image| image.set(child(image) + BRANCH_POS, &big))
        .all_say(&[place, "key lies at bytes 2147483695 to 2147483712 of the page"]);
    changed(|image| image.set(child(image) + BRANCH_KSIZE, &big))
        .all_say(&[place, "key lies at bytes 114 to 2147483761 of the page"]);
    // One more or less than was written.
    let asked = changed(|image| image.set(first(image) + VSIZE, &[42]));
    asked.all_say(&[
        "page 5, element 1 (byte 0x5020)",
        "key lies at byte 202 of the page, what comes before it ends at byte 203",
    ]);
}

#[test]
fn an_overflow_past_the_file_is_named() {
    let asked = changed(|image| image.set(image.key_leaf(0) + OVERFLOW, &(u32::MAX - 15).to_le_bytes()));
    asked.all_say(&["page 5 (byte 0x5000), bucket key: 4294967280 overflow pages run to page 4294967286, past the high water mark 15"]);
    let asked = changed(|image| image.set(image.key_leaf(0) + OVERFLOW, &[4]));
    asked.all_say(&["page 5 (byte 0x5000), bucket key: one of the pages 5 to 9 is reached a second time"]);
}

#[test]
fn a_page_that_is_not_the_one_is_named() {
    let asked = changed(|image| {
        let leaf = image.key_leaf(0);
        image.set(leaf, &[0; PAGE]);
    });
    asked.all_say(&[
        "page 5 (byte 0x5000), bucket key: the page's header says it is page 0, its place says 5 (page 9, element 0 leads here)",
    ]);
    asked.shows(&["page-id: 1", "25 revisions stored"]);
    let asked = changed(|image| image.set(image.key_leaf(0), &4u64.to_le_bytes()));
    asked.all_say(&[
        "page 5 (byte 0x5000), bucket key: the page's header says it is page 4, its place says 5 (page 9, element 0 leads here)",
    ]);
    let asked = changed(|image| image.set(image.key_leaf(0) + FLAGS, &[0, 0]));
    asked.all_say(&["page 5 (byte 0x5000), bucket key: type flags are 0x0000; 1 branch, 2 leaf, 4 meta or 0x10 freelist is due"]);
    let asked = changed(|image| image.set(image.key_leaf(0) + FLAGS, &[0x10, 0]));
    asked.all_say(&[
        "page 5 (byte 0x5000), bucket key: a freelist page stands where a branch or leaf is due (page 9, element 0 leads here)",
    ]);
}

#[test]
fn keys_out_of_order_or_not_the_parents_are_named() {
    let asked = changed(|image| {
        let key = image.item(image.element(image.key_leaf(0), 3)).0[0];
        image.set(key + 7, &[1]);
    });
    asked.all_say(&[
        "page 5, element 3 (byte 0x5040), bucket key",
        "key is not greater than the one before it",
    ]);
    let asked = changed(|image| {
        let element = image.element(image.key_root(), 1);
        let key = element + image.u32(element) as usize;
        image.set(key + 7, &[14]);
    });
    asked.hashkv.says(
        1,
        &["page 5, element 7 (byte 0x5080), bucket key", "key is not less than the parent's next key"],
    );
    for run in [asked.status, asked.inspect] {
        run.says(
            1,
            &[
                "page 10, element 0 (byte 0xa010), bucket key",
                "first key of the page is not the key its parent has for it",
            ],
        );
    }
}

#[test]
fn a_bucket_that_is_none_is_named() {
    let asked = changed(|image| image.set(image.bucket("members") + VSIZE, &[15]));
    for run in [&asked.status, &asked.inspect] {
        run.says(
            1,
            &["page 11", "bucket members", "a bucket's value has at least 16 bytes, this one has 15"],
        );
    }
    asked.hashkv.says(1, &["page 11, element 8 (byte 0xb090)"]);
    let asked = changed(|image| image.set(image.item(image.bucket("members")).1[0] + 16 + FLAGS, &[1]));
    asked.hashkv_answers(&[
        "page 11",
        "bucket members: inline page header has id 0, flags 0x1, overflow 0; 0, 0x2 and 0 are due",
    ]);
    let asked = changed(|image| image.set(image.bucket("members"), &[0]));
    asked.all_say(&["page 11, element 7 (byte 0xb080)", "the element's flags are 0, a value's; 1 is due"]);
    let asked = changed(|image| image.set(image.bucket("members"), &[3]));
    asked.all_say(&["page 11, element 7 (byte 0xb080)", "element flags are 0x3; only 0 and 1 are defined"]);
}

#[test]
fn a_lost_key_or_meta_bucket_is_named() {
    for (bucket, other) in [("key", b"kez".as_slice()), ("meta", b"metb")] {
        let asked = changed(|image| image.set(image.item(image.bucket(bucket)).0[0], other));
        asked.all_say(&["page 11 (byte 0xb000)", &format!("bucket {bucket} is not among the 10 buckets")]);
    }
}

/// A sound bbolt file whose `key` bucket holds these rows.
fn store(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let meta = vec![(b"consistent_index".to_vec(), 7u64.to_be_bytes().to_vec())];
    database([("key", rows.to_vec()), ("meta", meta)], Options::default())
}

fn revision(main: i64, sub: i64) -> Vec<u8> {
    BucketKey { revision: Revision { main, sub }, tombstone: false }.to_bytes()
}

/// Key `a`, created and changed at `main`.
fn value(main: u8) -> Vec<u8> {
    vec![0x0a, 1, b'a', 0x10, main, 0x18, main, 0x20, 1, 0x2a, 1, b'v']
}

#[test]
fn rows_that_etcd_cannot_have_written_are_named() {
    let good = (revision(2, 0), value(2));
    let sound = ask(&store(std::slice::from_ref(&good)));
    assert_eq!(
        [&sound.status, &sound.hashkv, &sound.inspect].map(|run| run.code),
        [0; 3],
        "{}",
        sound.status
    );

    let with = |row: (Vec<u8>, Vec<u8>)| {
        let mut rows = vec![good.clone(), row];
        rows.sort();
        ask(&store(&rows))
    };
    let inline = "bucket key, key";
    with((revision(3, 0)[..9].to_vec(), value(3)))
        .all_say(&[inline, "invalid revision length: 9"])
        .shows(&["1 live"]);
    with((b"0123456789abcdefg".to_vec(), value(3)))
        .all_say(&[inline, "invalid separator in bucket key: '8'"]);
    with((revision(-3, 0), value(3))).all_say(&[inline, "negative revision: main=-3 sub=0"]);
    with((revision(3, -1), value(3))).all_say(&[inline, "negative revision: main=3 sub=-1"]);
    with((revision(3, 0), vec![0x0a, 200, b'a']))
        .all_say(&[inline, "the KeyValue cannot be read past its byte 0"]);
    with((revision(3, 0), vec![0x18, 3])).all_say(&[inline, "the KeyValue of 2 bytes names no key"]);
    with((revision(3, 0), value(9))).all_say(&[inline, "the value says mod_revision 9, its key 3"]);
    with((revision(3, 0), value(3))).shows(&["1 live", "2 to 3"]);
}

#[test]
fn a_key_of_no_bytes_is_named() {
    let asked = changed(|image| image.set(image.element(image.key_leaf(0), 0) + KSIZE, &[0]));
    asked.all_say(&["page 5, element 0 (byte 0x5010), bucket key: the key's length is 0, 1 is the least"]);
}

#[test]
fn a_trailer_that_is_wrong_is_told_when_asked() {
    let mut image = Image::pristine();
    let value = image.item(image.element(image.key_leaf(0), 0)).1[1];
    image.set(value - 1, b"!");
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "backup.db", &image.bytes);
    coldbolt(["inspect", input.name()]).says(0, &[]);
    let run = coldbolt(["inspect", "--hash", input.name()]);
    run.says(
        1,
        &[
            input.name(),
            "byte 0xf000",
            "the trailer is ",
            ", the 61440 bytes before it give ",
            "[trailer-mismatch]",
        ],
    );
    assert!(run.text().contains("SHA-256 WRONG"), "{run}");
    let json = coldbolt(["inspect", "--hash", "-w", "json", input.name()]).json();
    assert_eq!(json["database"]["sha256"]["matches"], false);
    input.unchanged();
}
