//! How each command is run on files full of secrets.

/// A line or several for each command, which together are its forms: the exit code that is due, then the command line.
/// Words in capitals stand for files, NEW for a name that is free. A `-` behind the code: nothing is shown, although it
/// is the point of the command. Where the row says that a flag shows secrets, each is run without and with it.
pub const RUNS: &str = "
0 status DB|0 status DB -w json|0 status DB -w table|0 status DB -w fields|3 status KEYS
0 hashkv DB|0 hashkv DB -w json
0 inspect DB|0 inspect DB -w json|0 inspect DIR|0 inspect DIR -w json|1 inspect CUT|1 inspect CHANGED|0 inspect TORN
0 verify DB|0 verify DB -w json|0 verify DB --ndjson|1 verify DB OTHER CUT DIR -v --strict
1 verify DB --level objects|1 verify DB --level objects --junit NEW.xml --sarif NEW.sarif --markdown NEW.md --prometheus NEW.prom --manifest NEW.json
1 verify CUT|1 verify CUT -w json|1 verify CUT --junit NEW.xml --sarif NEW.sarif --markdown NEW.md --prometheus NEW.prom
0 verify DIR|1 verify CHANGED|0 verify TORN|0 verify DIR -w json|1 verify CHANGED -w json|0 verify TORN -w json
3 verify KEYS|3 verify KMS|3 verify TOKEN|3 verify MANIFEST
1 verify DB --encrypted secrets --encryption-provider kms:v2 --no-plaintext-residue|1 verify DB --require-key nosuch --forbid-prefix /registry/secrets -w json
2 verify DB --policy KEYS|2 verify DB --policy MANIFEST|2 verify DB --policy TOKEN|3 verify DB --check-manifest MANIFEST|4 verify DB --previous KEYS
1 verify DB --level objects --encryption-config KEYS --kms-key KMS|1 verify DB --level objects --encryption-config KEYS --kms-key KMS -w json
1 verify DB --level objects --encryption-config WRONGKEYS|2 verify DB --encryption-config KEYS
0 copy DIR NEW|0 copy DIR NEW --manifest NEW.json|0 copy DIR NEW --as data-dir|1 copy CUT NEW|1 copy CHANGED NEW|0 copy TORN NEW
3 save --endpoints http://127.0.0.1:1 -o NEW --retries 0 --user root --password-file TOKEN|3 save --endpoints https://127.0.0.1:1 -o NEW --retries 0 --cacert KEYS|3 save --from-manifest POD -o NEW|3 status --endpoints http://127.0.0.1:1 --user root --password-file TOKEN -w json
0 replay DIR --to-index 22 -o NEW
0 rank DIR TORN|0 rank DIR TORN -w json
0 member list --data-dir DIR|0 member list --data-dir DIR -w json
0 member remove b0b --data-dir THREE -o NEW|1 member remove 8e9e05c52164694d --data-dir DIR -o NEW
0 member add --peer-urls http://127.0.0.1:9 --data-dir DIR -o NEW|3 member add --peer-urls http://127.0.0.1:9 --data-dir KEYS -o NEW
0 member promote ca71 --data-dir THREE -o NEW|1 member promote 8e9e05c52164694d --data-dir DIR -o NEW
0 seal UNSEALED -o NEW
0 unseal DB -o NEW
0 restore DB --data-dir NEW|1 restore CUT --data-dir NEW|0 restore DB --data-dir NEW --from-manifest POD|3 restore DB --data-dir NEW --from-manifest BADPOD
3 restore DB --data-dir NEW --from-manifest KEYS
0 snapshot restore DB --data-dir NEW
0 snapshot status DB|0 snapshot status DB -w json
0 defrag DB -o NEW
0 migrate --data-dir DIR --target-version 3.8 --dry-run|0 migrate --data-dir DIR --target-version 3.8 --dry-run -w json
0 encrypt DB -o NEW --passphrase-file TOKEN|3 encrypt DB -o NEW --to TOKEN|0 encrypt DB -o NEW -w json --passphrase-file TOKEN
0 decrypt CLOSED -o NEW --passphrase-file TOKEN|3 decrypt CLOSED -o NEW --passphrase-file WRONGTOKEN|3 decrypt CLOSED -o NEW -i TOKEN|3 decrypt DB -o NEW --passphrase-file TOKEN
0 copy DB NEW --passphrase-file TOKEN|4 verify CLOSED|4 verify CLOSED -w json
0 get DB /registry --prefix|0 get DB /registry --prefix -w json
4- get DB /registry --prefix --decode|4- get DB /registry --prefix --decode -w json|0- get DB /registry --prefix --keys-only
4- get DB /registry --prefix --decode --encryption-config KEYS --kms-key KMS
0 keys DB|0 keys DB -w json|0 keys DB --tree|0 keys DB --top 10
0- history DB /registry/secrets/n/opaque|0 history DB /registry/secrets/n/opaque --values|0- history DB /registry/secrets/n/opaque -w json
0- history DB /registry/secrets/n/opaque --diff|0- history DB /registry/secrets/n/sealed-kms-v2 --diff --encryption-config KEYS --kms-key KMS
0- history DB --prefix /registry
0- events DB|0 events DB --values|0- events DB -w json|0- events DB --decode --values|0- events DB --decode --values --encryption-config KEYS --kms-key KMS|0- events DB --decode -w json --encryption-config KEYS --kms-key KMS
0 salvage DB -o NEW|0 salvage DIR -o NEW -w json|3 salvage CUT -o NEW|1 salvage CUT -o NEW --include-uncertain|1 salvage CHANGED -o NEW --report NEW.ndjson -w json|3 salvage KEYS -o NEW
0- carve LEFTOVERS|0 carve LEFTOVERS --values|0- carve LEFTOVERS --values --decode|0- carve LEFTOVERS -w json --values --decode|0- carve LEFTOVERS --decode --extract NEW
0- carve LEFTOVERS -n n --values --decode --encryption-config KEYS --kms-key KMS
0- carve DIR|0- carve DIR -w json --values --decode
0 timeline LEFTOVERS|0 timeline LEFTOVERS -w json|0 timeline LEFTOVERS -w csv|0 timeline DIR -w ndjson|0 timeline DIR|3 timeline DB OTHER
0 timeline DB -w json --encryption-config KEYS --kms-key KMS|4 timeline DB --audit KEYS -w json
1 diff DB OTHER|1 diff DB OTHER --values|1 diff DB OTHER -w json --values|1 diff DB OTHER --values --encryption-config KEYS --kms-key KMS
1 compare DB OTHER|1 compare DB OTHER -w json
0 export DB|0 export DB -w csv|0- export DB --no-values|0 export DB --encryption-config KEYS --kms-key KMS|4- export DB --kube --object --no-values|4- export DB --kube --object --encryption-config KEYS --kms-key KMS|4- export DB --kube --object --no-values --encryption-config KEYS --kms-key KMS
0 leases DB|0 leases DB -w json
0 auth DB|0 auth DB -w json|0 auth USERS|0 auth USERS -w json
0 alarms DB|0 alarms DB -w json
0 members DB|0 members DB -w json
0 kube kinds DB|0 kube kinds DB -w json|0 kube kinds DB --encryption-config KEYS --kms-key KMS|0 kube kinds DB --by field
4 kube get DB secrets -A|4 kube get DB secrets -A -o yaml|4 kube get DB secrets -A -o json|4 kube get DB secrets -A -o wide
4 kube get DB all-kinds -A -o json|4 kube get DB all-kinds -A -o ndjson|4 kube get DB secrets -A -o yaml --as-stored
4 kube get DB secrets -A -o jsonpath={.items[*].data}|4 kube get DB secrets -A -o custom-columns=A:.data,B:.metadata.annotations,C:.stringData
4 kube get DB secrets -A -o json --encryption-config KEYS --kms-key KMS|1 kube get CUT secrets -A -o yaml|4 kube get DB secrets -A --sort-by=.data.p -o json
1 kube diff DB OTHER|1 kube diff DB OTHER -w json|1 kube diff DB OTHER --encryption-config KEYS --kms-key KMS|1 kube diff DB --from-rev 2 -w json --encryption-config KEYS --kms-key KMS
0 kube history DB secret/opaque -n n|0 kube history DB secret/sealed-aesgcm -n n --encryption-config KEYS|0 kube history DB secret/opaque -n n -w json
4 kube extract DB -o NEW|4 kube extract DB -o -|4 kube extract DB -o NEW --encryption-config KEYS --kms-key KMS|4 kube extract DB -o NEW -w json
0 kube encryption DB|0 kube encryption DB -w json|0 kube encryption DB --all|0 kube encryption DB --wrapped|0 kube encryption DB --wrapped -w json
4 kube bootstrap DB|4 kube bootstrap DB -w json|0 kube bootstrap DB --token-file TOKEN --extract NEW|1 kube bootstrap DB --token-file WRONGTOKEN
1 kube bootstrap DB --token-file KEYS
4 kube secrets DB|4 kube secrets DB -w json|4 kube secrets DB -n n --encryption-config KEYS --kms-key KMS|4 kube secrets DB -w json --encryption-config KEYS --kms-key KMS
4 kube security DB|4 kube security DB -w json|4 kube security DB -w sarif|0 kube diff --security OTHER DB -w json|4 kube security DB --all -w ndjson --encryption-config KEYS --kms-key KMS
0 evidence DB -o NEW|0 evidence DIR -o NEW --against OTHER|0 evidence CUT -o NEW -w json
1 kube put DB -f MANIFEST --dry-run|0 kube put PLAIN -f MANIFEST --dry-run|0 kube put PLAIN -f MANIFEST -o NEW|0 kube put PLAIN -f MANIFEST --dry-run -w json|1 kube put DB -f BADMANIFEST --dry-run|1 kube put DB -f FOREIGN --dry-run|1 kube put DB -f ODD --dry-run
0 kube delete DB secret opaque -n n --dry-run|0 kube delete DB secret opaque -n n --dry-run -w json
0 wal dump DIR|0 wal dump DIR --show-secrets|0 wal dump DIR -w json|0 wal dump DIR -w json --show-secrets|0 wal dump DIR -w ndjson|0 wal dump DIR --raw|0 wal dump DIR --raw --show-secrets|0 wal dump DIR --raw -w json --show-secrets|0 wal dump DIR --raw -w json|0- wal dump DIR --decode|1 wal dump CHANGED|0 wal dump TORN
0 snap show SNAP|0 snap show SNAP -w json|0 snap show V2SNAP|0 snap show V2SNAP -w json
0 bolt buckets DB
0 bolt keys DB key|0 bolt keys DB authUsers
0 bolt get DB key 00000000000000035f0000000000000000 --parse-format hex|0- bolt get DB key 00000000000000035f0000000000000000 --parse-format hex --format redacted
0 bolt get DB authUsers ann|0- bolt get DB authUsers ann --format redacted
0 bolt pages DB
0 bolt page DB --all|0- bolt page DB --all --format-value redacted
0 bolt page-item DB 2 0
0 bolt surgery freelist-abandon DB -o NEW|0 bolt surgery freelist-rebuild DB -o NEW|0 bolt surgery revert-meta-page DB -o NEW|0 bolt surgery fix-trailer DB -o NEW
0 bolt surgery drop-bucket lease DB --dry-run -w json|0 bolt surgery set-consistent-index 9 DB -o NEW|0 bolt surgery meta-update DB --dry-run
1 bolt surgery clear-page --page 3 DB --dry-run|1 bolt surgery clear-page-elements --page 3 --from-index 0 --to-index -1 DB --dry-run|1 bolt surgery copy-page --from-page 3 --to-page 4 DB --dry-run
0 explain wal-crc|0 explain
0 as etcdutl snapshot status DB -w json|0 as etcdutl hashkv DB|0 as etcdutl snapshot restore DB --data-dir NEW|1 as etcdutl backup --data-dir DIR --backup-dir NEW|0 as etcdctl snapshot status DB|0 as bbolt buckets DB
0 as bbolt check DB|0 as bbolt stats DB|0 as bbolt inspect DB|0 as bbolt compact DB -o NEW|0 as bbolt surgery freelist abandon DB --output NEW|0 as etcd-dump-db hash DIR
0 version
0 completion bash
0 man|0 man --all NEW
";
