//! The calls that are made with each real program and with coldbolt under its name: commands, flags, formats, on files
//! and directories by the names that `programs` has for them.

/// Each of the first with each of the second.
fn product(a: &[&str], b: &[&str]) -> Vec<String> {
    a.iter().flat_map(|a| b.iter().map(move |b| a.replace('@', b))).collect()
}

const ALL_FILES: [&str; 12] = [
    "s34.db",
    "s35.db",
    "s36.db",
    "s37.db",
    "bare.db",
    "zeroed.db",
    "half.db",
    "page.db",
    "flipped.db",
    "text",
    "empty",
    "missing.db",
];

/// `snapshot status`, which all but etcd-dump-logs have.
fn status() -> Vec<String> {
    let mut calls = product(
        &[
            "snapshot status @",
            "snapshot status @ -w simple",
            "snapshot status @ -w json",
            "snapshot status @ -w fields",
            "snapshot status @ -w table",
            "snapshot status @ -w protobuf",
            "snapshot status @ --write-out=xml",
        ],
        &ALL_FILES,
    );
    calls.extend(product(
        &["-w json snapshot status @", "-wjson snapshot status @", "--write-out json snapshot status @"],
        &["s34.db", "s37.db"],
    ));
    calls.extend(product(
        &[
            "--write-out=json snapshot status -- @",
            "snapshot -w=table status @",
            "snap stat @",
            "snapshot status @ @",
        ],
        &["s36.db", "missing.db"],
    ));
    calls
        .extend(["snapshot status", "snapshot status dir", "snapshot", "snapshot nosuch"].map(str::to_owned));
    calls
}

/// `snapshot restore`.
fn restore() -> Vec<String> {
    let mut calls = product(
        &["snapshot restore @ --data-dir new", "snapshot restore --data-dir=new --skip-hash-check @"],
        &ALL_FILES,
    );
    calls.extend(product(
        &["snapshot restore s37.db --data-dir new @"],
        &[
            "--name x",
            "--name=m1 --initial-cluster m1=http://127.0.0.1:1 --initial-advertise-peer-urls http://127.0.0.1:1",
            "--name m2 --initial-cluster m1=http://127.0.0.1:1,m2=http://127.0.0.1:2 \
             --initial-advertise-peer-urls=http://127.0.0.1:2 --initial-cluster-token other",
            "--initial-cluster default=foo://127.0.0.1:1",
            "--initial-cluster default=http://localhost",
            "--initial-cluster x",
            "--initial-cluster default=http://127.0.0.1:1,b=http://127.0.0.1:1",
            "--initial-advertise-peer-urls http://localhost:2390",
            "--wal-dir wal",
            "--wal-dir dir",
            "--data-dir dir",
            "--skip-hash-check=maybe",
            "--skip-hash-check=0",
            "--skip-hash-check=T",
            "-w json",
            "-w xml",
            "--nosuch",
            "s36.db",
        ],
    ));
    calls.extend(
        ["snapshot restore", "snapshot restore s37.db", "snapshot restore --name m s37.db"]
            .map(str::to_owned),
    );
    calls
}

/// What etcdutl has since 3.6 besides.
fn newer() -> Vec<String> {
    let mut calls = product(
        &[
            "hashkv @",
            "hashkv @ -w json",
            "hashkv @ -w fields",
            "-w table hashkv @",
            "hashkv @ -w protobuf",
            "hashkv @ -w xml",
        ],
        &ALL_FILES,
    );
    calls.extend(product(
        &["hashkv s37.db --rev @"],
        &["0", "61", "70", "0x50", "106", "107", "60", "-1", "x", "1.5"],
    ));
    calls.extend(product(
        &["snapshot restore s37.db --data-dir new @"],
        &[
            "--bump-revision 1000 --mark-compacted",
            "--bump-revision 3",
            "--mark-compacted",
            "--bump-revision 0",
            "--bump-revision -1 --mark-compacted",
            "--mark-compacted=false",
            "--initial-memory-map-size 1000000",
        ],
    ));
    calls.extend(product(&["migrate --data-dir @"], &["missing", "cold37", "cold37 --target-version"]));
    calls.extend(product(
        &["migrate --data-dir missing --target-version @"],
        &["3.6", "abc", "3", "3.a", "3.6.0", "3.4", "4.0"],
    ));
    calls.extend(product(
        &[
            "migrate --data-dir cold36 --target-version @",
            "migrate --data-dir cold37 --target-version @ --force",
        ],
        &["3.5", "3.6"],
    ));
    calls.extend(
        [
            "hashkv",
            "hashkv s37.db s37.db",
            "hashkv dir",
            "completion",
            "completion foo",
            "completion bash zsh",
            "migrate",
            "help hashkv",
            "help migrate",
            "help completion",
            "completion bash --help",
        ]
        .map(str::to_owned),
    );
    calls
}

/// What etcdutl had up to 3.5.
fn up_to_3_5() -> Vec<String> {
    let mut calls = product(
        &[
            "backup --data-dir @ --backup-dir new",
            "check v2store --data-dir @",
            "check v2store --data-dir=@ --wal-dir cold35/member/wal",
        ],
        &["cold34", "cold35", "cold36", "cold37", "cold-v2", "missing", "dir"],
    );
    calls.extend(product(
        &["backup --data-dir cold-v2 --backup-dir new @", "backup --backup-dir=dir --data-dir=cold35 @"],
        &[
            "--with-v3=false",
            "--with-v3",
            "--with-v3=maybe",
            "--backup-wal-dir wal",
            "--backup-wal-dir dir",
            "--wal-dir cold-v2/member/wal",
            "--wal-dir missing",
            "-w json extra",
        ],
    ));
    calls.extend(
        [
            "backup",
            "backup --data-dir cold35",
            "backup --backup-dir new",
            "backup --help",
            "check",
            "check nosuch",
            "check v2store",
            "check v2store --help",
            "help check v2store",
            "check v2store --data-dir cold35 --wal-dir missing",
            "check v2store --data-dir cold35 extra",
        ]
        .map(str::to_owned),
    );
    calls
}

fn others() -> Vec<String> {
    [
        "",
        "help",
        "-h",
        "--help",
        "help snapshot",
        "help snapshot status",
        "help snapshot restore",
        "help defrag",
        "help version",
        "help nosuch",
        "help snapshot nosuch",
        "version",
        "version extra",
        "version -w json",
        "version --help",
        "nosuch",
        "snapsht",
        "--nosuch",
        "--version",
        "-x",
        "-w",
        "defrag",
        "defrag --data-dir missing",
        "defrag --data-dir dir",
        "defrag --data-dir=cold37",
        "defrag --data-dir",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn old_globals() -> Vec<String> {
    product(
        &["@ snapshot status s34.db", "snapshot status s35.db @ -w json", "@ version"],
        &[
            "--endpoints http://127.0.0.1:1",
            "--hex",
            "--command-timeout 3s",
            "--cacert missing --cert a --key b",
            "--debug --insecure-transport=false",
            "--user a:b",
            "--dial-timeout=1s --keepalive-time 1s",
            "-d example.org",
        ],
    )
}

fn dump_logs() -> Vec<String> {
    let mut calls = product(
        &[
            "@",
            "-start-index 0 @",
            "--start-index=100 @",
            "-start-index 1000 @",
            "-raw @",
            "--raw -start-index 120 @",
            "-start-index 0 -entry-type ConfigChange @",
            "-start-index 0 --entry-type IRRPut,IRRTxn @",
            "-start-index=0 -entry-type=InternalRaftRequest @",
            "-start-index 0 -entry-type Request @",
            "-start-index 0 -entry-type IRRLeaseGrant,IRRLeaseRevoke,IRRCompaction,IRRDeleteRange,IRRRange @",
            "-start-index 0 -entry-type Normal,Normal,IRRPut @",
            "-entry-type bogus @",
            "-entry-type= @",
        ],
        &["cold34", "cold35", "cold36", "cold37"],
    );
    calls.extend(
        [
            "",
            "-h",
            "-foo cold35",
            "-start-index cold35",
            "-start-index x cold35",
            "cold35 -raw",
            "cold35 cold36",
            "-start-snap a -start-index 4 cold35",
            "-start-snap 0000000000000002-000000000000003d.snap cold35",
            "-start-snap nosuch.snap cold35",
            "-raw -entry-type IRRPut cold35",
            "-raw=false cold35",
            "-raw=x cold35",
            "-wal-dir cold35/member/wal cold36",
            "-wal-dir missing cold35",
            "-stream-decoder ./decode.sh cold35",
            "-stream-decoder cat cold35",
            "-stream-decoder true cold35",
            "-stream-decoder false cold35",
            "missing",
            "dir",
            "-raw missing",
            "-stream-decoder ./missing cold35",
        ]
        .map(str::to_owned),
    );
    calls
}

/// What a program is asked.
pub fn calls(program: &str) -> Vec<String> {
    let with = |parts: &[Vec<String>]| parts.concat();
    match program {
        "etcdutl-3.7.3/etcdutl" => {
            let timeouts =
                product(&["--timeout @ snapshot status s37.db"], &["1s", "0", "1m1.5s", "5x", "5"]);
            with(&[status(), restore(), newer(), others(), timeouts])
        }
        "etcdutl-3.6.16/etcdutl" => with(&[status(), restore(), newer(), others()]),
        "etcdutl-3.5.35/etcdutl" => with(&[status(), restore(), others(), up_to_3_5()]),
        "etcd-dump-logs-3.6/etcd-dump-logs" => dump_logs(),
        _ => with(&[status(), restore(), others(), old_globals()]),
    }
}
