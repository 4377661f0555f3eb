//! Images of volumes and disks, which nobody mounts: an ext4 of a killed etcd, with its journal.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use coldbolt::codec::checksum::{hex, sha256};
use coldbolt::io::tree;
use support::{Input, coldbolt, coldbolt_in, fixture};

const PACKED: &str = "volume/ext4.img.xz";

/// The image, with its holes.
fn image() -> Vec<u8> {
    let mut reader = lzma_rust2::XzReader::new(fs::File::open(fixture(PACKED)).unwrap(), false);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    bytes
}

fn write(path: &Path, parts: &[(u64, &[u8])], len: u64) {
    let file = fs::File::create(path).unwrap();
    for (at, bytes) in parts {
        for (number, piece) in
            bytes.chunks(1 << 16).enumerate().filter(|(_, piece)| piece.iter().any(|byte| *byte != 0))
        {
            file.write_all_at(piece, at + ((number as u64) << 16)).unwrap();
        }
    }
    file.set_len(len).unwrap();
}

#[test]
fn every_file_of_a_volume_is_what_the_kernel_gives_after_its_journal() {
    let image = fixture(PACKED);
    let sums = fs::read_to_string(fixture("volume/ext4.sha256")).unwrap();
    assert_eq!(sums.lines().count(), 4);
    for line in sums.lines() {
        let (due, name) = line.split_once("  ").unwrap();
        let path = format!("{}:/{name}", image.display());
        let source = tree::open(Path::new(&path)).unwrap();
        assert_eq!(hex(&sha256(&source.read_all(1 << 30).unwrap())), due, "{name}");
        assert!(source.packed().unwrap().contains("its journal applied in memory"), "{:?}", source.packed());
    }
}

#[test]
fn a_member_on_a_volume_has_all_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let packed = Input::new(fixture(PACKED));
    fs::write(dir.path().join("image.xz"), fs::read(&packed.path).unwrap()).unwrap();
    write(&dir.path().join("vol.img"), &[(0, &image())], 192 << 20);
    let before = sha256(&fs::read(dir.path().join("vol.img")).unwrap());
    for name in ["vol.img", "image.xz"] {
        coldbolt_in(dir.path(), ["inspect", name]).says(
            3,
            &[
                "holds 2 things of etcd's; name one of them",
                &format!("{name}:/var/lib/etcd"),
                &format!("{name}:/backup.db"),
            ],
        );
        let member = format!("{name}:/var/lib/etcd");
        let keys = coldbolt_in(dir.path(), ["get", &member, "/volume/", "--prefix", "--keys-only", "--fold"]);
        assert_eq!(keys.text().lines().filter(|line| line.starts_with("/volume/")).count(), 40, "{keys}");
        coldbolt_in(dir.path(), ["verify", &member])
            .shows(0, &["data directory, good", "ext volume, its journal applied in memory"]);
        coldbolt_in(dir.path(), ["verify", name]).shows(0, &["2 good"]);
        coldbolt_in(dir.path(), ["status", &format!("{name}:backup.db")]).says(0, &[]);
        coldbolt_in(dir.path(), ["wal", "dump", &member]).says(0, &[]);
        let new = format!("{name}.db");
        coldbolt_in(dir.path(), ["copy", &member, &new]).says(0, &[]);
        coldbolt_in(dir.path(), ["verify", &new]).says(0, &[]);
        coldbolt_in(dir.path(), ["status", &format!("{name}:nothing/here")]).says(3, &["no such file"]);
        coldbolt_in(dir.path(), ["status", &format!("{name}:var")]).says(3, &["holds no etcd data"]);
    }
    assert_eq!(
        fs::read(dir.path().join("vol.img.db")).unwrap(),
        fs::read(dir.path().join("image.xz.db")).unwrap()
    );
    assert_eq!(sha256(&fs::read(dir.path().join("vol.img")).unwrap()), before);
    packed.unchanged();
}

/// An MBR of these partitions: type, first sector, sectors.
fn mbr(partitions: &[(u8, u32, u32)]) -> [u8; 512] {
    let mut sector = [0; 512];
    for (entry, (kind, first, count)) in sector[446..510].chunks_mut(16).zip(partitions) {
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&count.to_le_bytes());
    }
    sector[510..].copy_from_slice(b"\x55\xaa");
    sector
}

/// A GPT of partitions that begin at these sectors and have so many, behind its protective MBR.
fn gpt(sector: usize, partitions: &[(u64, u64)]) -> Vec<u8> {
    let mut table = mbr(&[(0xee, 1, u32::MAX)]).to_vec();
    table.resize(sector * 2 + 128 * 128, 0);
    table[sector..sector + 8].copy_from_slice(b"EFI PART");
    table[sector + 72..sector + 80].copy_from_slice(&2u64.to_le_bytes());
    table[sector + 80..sector + 84].copy_from_slice(&128u32.to_le_bytes());
    table[sector + 84..sector + 88].copy_from_slice(&128u32.to_le_bytes());
    for (number, (first, count)) in partitions.iter().enumerate() {
        let at = sector * 2 + number * 128;
        table[at] = 0xaf;
        table[at + 32..at + 40].copy_from_slice(&first.to_le_bytes());
        table[at + 40..at + 48].copy_from_slice(&(first + count - 1).to_le_bytes());
    }
    table
}

#[test]
fn a_partition_is_found_by_what_is_in_it_or_named_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let len = image.len() as u64;
    let sectors = (len / 512) as u32;
    let path = dir.path().join("disk.img");
    let primary = mbr(&[(0x83, 2048, 2048), (0x83, 4096, sectors)]);
    // In an extended partition each is listed in a sector of its own.
    let extended = mbr(&[(0x83, 2048, 2048), (0x05, 4096, sectors + 8192)]);
    let (first, second) =
        (mbr(&[(0x83, 63, 63), (0x05, 2048, sectors + 4096)]), mbr(&[(0x83, 2048, sectors)]));
    type Tables = Vec<(u64, Vec<u8>)>;
    let disks: [(&str, Tables, u64); 4] = [
        ("2", vec![(0, primary.to_vec())], 4096 * 512),
        (
            "6",
            vec![(0, extended.to_vec()), (4096 * 512, first.to_vec()), (6144 * 512, second.to_vec())],
            8192 * 512,
        ),
        ("2", vec![(0, gpt(512, &[(2048, 2048), (4096, sectors.into())]))], 4096 * 512),
        ("2", vec![(0, gpt(4096, &[(256, 256), (512, (len / 4096))]))], 512 * 4096),
    ];
    for (number, tables, at) in disks {
        let mut parts: Vec<(u64, &[u8])> = tables.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
        parts.push((at, &image));
        write(&path, &parts, at + len + (1 << 20));
        let found = format!("disk.img:/{number}:/var/lib/etcd");
        coldbolt_in(dir.path(), ["inspect", "disk.img"]).says(3, &["holds 2 things", &found]);
        for name in
            ["disk.img:/var/lib/etcd".to_owned(), format!("disk.img:{number}:/var/lib/etcd"), found.clone()]
        {
            coldbolt_in(dir.path(), ["verify", &name])
                .shows(0, &[&format!("{found}: data directory, good"), "disk"]);
        }
        coldbolt_in(dir.path(), ["status", &format!("disk.img:{number}:backup.db")]).says(0, &[]);
    }
}

#[test]
fn a_volume_that_is_not_read_is_named_with_what_makes_it_readable() {
    let dir = tempfile::tempdir().unwrap();
    let at = |at: usize, magic: &[u8]| {
        let mut bytes = vec![0; 80_000];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes
    };
    for (bytes, what, how) in [
        (at(0, b"XFSB"), "an XFS volume", "mount -o loop,ro,norecovery"),
        (at(65_600, b"_BHRfS_M"), "a btrfs volume", "mount -o loop,ro"),
        (at(512, b"LABELONE"), "an LVM physical volume", "vgchange -ay"),
        (at(0, b"LUKS\xba\xbe"), "a LUKS container", "cryptsetup open --readonly"),
        (at(0, b"QFI\xfb"), "a qcow2 image", "qemu-img convert -O raw"),
        (at(0, b"KDMV"), "a VMDK image", "qemu-img convert -O raw"),
        (at(0, b"vhdxfile"), "a VHDX image", "qemu-img convert -O raw"),
    ] {
        let input = Input::write(dir.path(), "x.img", &bytes);
        coldbolt(["inspect", input.name()]).says(3, &[&format!("is {what}, which is not read here"), how]);
        let path = dir.path().join("disk.img");
        let table = mbr(&[(0x83, 2048, 2048)]);
        write(&path, &[(0, &table), (2048 * 512, &bytes)], 4096 * 512);
        coldbolt_in(dir.path(), ["inspect", "disk.img"]).says(3, &[&format!("disk.img:/1 is {what}"), how]);
        input.unchanged();
    }
    // A feature of ext4 that is not read.
    let mut image = image();
    image[1024 + 0x60] |= 0x10;
    let path = dir.path().join("meta_bg.img");
    write(&path, &[(0, &image)], 192 << 20);
    coldbolt_in(dir.path(), ["inspect", "meta_bg.img"])
        .says(3, &["features that are not read here (0x10)", "mount -o loop,ro"]);
}

#[test]
fn a_volume_that_was_changed_or_cut_is_damage_or_the_same_and_never_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let path = dir.path().join("vol.img");
    // What is in use: the superblock, descriptors, inodes, directories, the journal, the files.
    let used: Vec<usize> = (0..image.len())
        .step_by(1024)
        .filter(|at| image[*at..at + 1024].iter().any(|byte| *byte != 0))
        .collect();
    assert!(used.len() > 100);
    write(&path, &[(0, &image)], 192 << 20);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut seen = [0; 5];
    for (number, at) in used.iter().enumerate().step_by(used.len() / 24) {
        let mut block = image[*at..at + 1024].to_vec();
        block.iter_mut().step_by(1 + number % 7).for_each(|byte| *byte ^= 0x5a);
        file.write_all_at(&block, *at as u64).unwrap();
        for name in ["vol.img:/var/lib/etcd", "vol.img"] {
            let run = coldbolt_in(dir.path(), ["verify", name]);
            assert!(matches!(run.code, 0 | 1 | 3 | 4), "{at}: {run}");
            seen[run.code as usize] += 1;
        }
        file.write_all_at(&image[*at..at + 1024], *at as u64).unwrap();
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    for part in (1..20).rev().step_by(3) {
        file.set_len(image.len() as u64 / 20 * part).unwrap();
        let run = coldbolt_in(dir.path(), ["verify", "vol.img:/var/lib/etcd"]);
        assert!(matches!(run.code, 0 | 1 | 3), "{part}: {run}");
    }
    file.set_len(1 << 20).unwrap();
    coldbolt_in(dir.path(), ["verify", "vol.img:/var/lib/etcd"]).says(3, &["vol.img"]);
}
