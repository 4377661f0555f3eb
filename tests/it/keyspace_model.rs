//! The keyspace against a naive model: a list of everything that was written, and what a compaction removes from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use coldbolt::etcd::{KeyRange, Revision};
use coldbolt::io::Source;
use coldbolt::store::diff::{DiffOptions, DifferenceKind, diff};
use coldbolt::store::events::Change;
use coldbolt::store::{EventKind, Order, OwnedKeyValue, RangeRequest, SortBy, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use proptest::prelude::*;
use support::model::{Step, key, model, steps};

fn open(source: &Source, memory: u64) -> Store<'static> {
    Store::open(source, &StoreOptions { memory, ..StoreOptions::default() }, &Quiet).unwrap()
}

fn answer(store: &Store<'_>, revision: i64, request: &RangeRequest<'_>) -> (Vec<OwnedKeyValue>, u64, bool) {
    let mut kvs = Vec::new();
    let totals = store.at(Some(revision)).unwrap().range(request, &mut |kv| {
        kvs.push(OwnedKeyValue::from(kv));
        ControlFlow::Continue(())
    });
    let totals = totals.unwrap();
    (kvs, totals.count, totals.more)
}

/// `Range` as its documentation says: everything in the range, filtered, sorted, cut.
fn naive(
    live: &BTreeMap<Vec<u8>, OwnedKeyValue>,
    key: &[u8],
    end: &[u8],
    request: &RangeRequest<'_>,
) -> (Vec<OwnedKeyValue>, u64, bool) {
    let within = |k: &[u8]| match end {
        b"" => k == key,
        b"\0" => k >= key,
        end => k >= key && k < end,
    };
    let mut kvs: Vec<OwnedKeyValue> = live.values().filter(|kv| within(&kv.key)).cloned().collect();
    let count = kvs.len() as u64;
    if request.count_only {
        return (Vec::new(), count, false);
    }
    let limit = usize::try_from(request.limit).unwrap();
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    // Nothing said about the order: etcd fetches one more than the limit, and sorts those.
    if request.order == Order::None && filters == [0; 4] && limit > 0 {
        kvs.truncate(limit + 1);
    }
    kvs.retain(|kv| {
        let [min_mod, max_mod, min_create, max_create] = filters;
        (max_mod == 0 || kv.mod_revision <= max_mod)
            && kv.mod_revision >= min_mod
            && (max_create == 0 || kv.create_revision <= max_create)
            && kv.create_revision >= min_create
    });
    let compare = |a: &OwnedKeyValue, b: &OwnedKeyValue| match request.sort_by {
        SortBy::Key => a.key.cmp(&b.key),
        SortBy::Version => a.version.cmp(&b.version),
        SortBy::Create => a.create_revision.cmp(&b.create_revision),
        SortBy::Modify => a.mod_revision.cmp(&b.mod_revision),
        SortBy::Value => a.value.cmp(&b.value),
    };
    kvs.sort_by(|a, b| if request.order == Order::Descend { compare(b, a) } else { compare(a, b) });
    let more = limit > 0 && kvs.len() > limit;
    if more {
        kvs.truncate(limit);
    }
    if request.keys_only {
        kvs.iter_mut().for_each(|kv| kv.value.clear());
    }
    (kvs, count, more)
}

fn memory() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1), Just(700), Just(56 << 20)]
}

fn page_size() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1024), Just(4096)]
}

proptest! {
    #[test]
    fn every_range_at_every_revision_is_the_models(
        steps in steps(), memory in memory(), page_size in page_size(), left in proptest::option::of((0..4i64, 0..9usize)),
        ranges in proptest::collection::vec((key(), prop_oneof![Just(vec![]), Just(vec![0]), Just(vec![0, 0]), key()]), 3),
        order in prop_oneof![Just(Order::None), Just(Order::Ascend), Just(Order::Descend)],
        sort_by in prop_oneof![Just(SortBy::Key), Just(SortBy::Version), Just(SortBy::Create), Just(SortBy::Modify), Just(SortBy::Value)],
        limit in prop_oneof![Just(0u64), 1..5u64], filters in prop_oneof![2 => Just([0; 4]), 1 => proptest::array::uniform4(0..30i64)],
        keys_only: bool, count_only in prop_oneof![9 => Just(false), 1 => Just(true)],
    ) {
        let mut model = model(&steps);
        if let Some((back, left)) = left && model.last() - back > model.scheduled.unwrap_or(0) {
            // It was asked for, and not finished.
            model.compact(model.last() - back, true, Some(left));
        }
        let source = model.file(page_size);
        let store = open(&source, memory);
        prop_assert_eq!((store.revision(), store.compact_revision()), (model.last(), model.scheduled));
        let first = model.scheduled.unwrap_or(1);
        let future = store.at(Some(model.last() + 1)).err().unwrap().to_string();
        prop_assert!(future.starts_with("mvcc: required revision is a future revision"), "{}", future);
        if first > 1 {
            let compacted = store.at(Some(first - 1)).err().unwrap().to_string();
            prop_assert!(compacted.starts_with("mvcc: required revision has been compacted"), "{}", compacted);
        }
        for revision in first..=model.last() {
            let live = model.live(revision);
            let (kvs, count, _) = answer(&store, revision, &RangeRequest::new(KeyRange::all()));
            prop_assert_eq!((&kvs, count), (&live.values().cloned().collect(), live.len() as u64));
            for (key, end) in &ranges {
                let request = RangeRequest {
                    limit, order, sort_by, keys_only, count_only,
                    min_mod_revision: filters[0], max_mod_revision: filters[1],
                    min_create_revision: filters[2], max_create_revision: filters[3],
                    ..RangeRequest::new(KeyRange::request(key, end))
                };
                prop_assert_eq!(answer(&store, revision, &request), naive(&live, key, end, &request), "{:?} to {:?} at {}", key, end, revision);
                let got = store.at(Some(revision)).unwrap().get(key).unwrap();
                prop_assert_eq!(got.as_ref(), live.get(key));
            }
        }
    }

    #[test]
    fn events_and_histories_are_what_is_stored(steps in steps(), page_size in page_size(), bump in proptest::option::of(1..50i64)) {
        let mut model = model(&steps);
        model.marker = bump.map(|by| model.last() + by);
        let source = model.file(page_size);
        let store = open(&source, 1 << 20);
        prop_assert_eq!(store.revision(), model.last());
        let compact = model.scheduled.unwrap_or(0);
        let mut due: Vec<_> = model.log.iter().map(|(at, kv)| {
            let kind = if at.tombstone { EventKind::Delete } else { EventKind::Put };
            (at.revision, kind, kv.clone(), at.revision.main <= compact)
        }).collect();
        due.extend(model.marker.map(|main| (Revision { main, sub: 0 }, EventKind::Marker, OwnedKeyValue::default(), false)));
        let events = |since, until, range: Option<&KeyRange<'_>>| {
            let mut seen = Vec::new();
            store.events(since, until, range, &mut |event| {
                seen.push((event.revision, event.kind, event.kv.into(), event.compacted));
                ControlFlow::Continue(())
            }).unwrap();
            seen
        };
        prop_assert_eq!(&events(None, None, None), &due);
        for since in compact.max(1)..=model.last() {
            let due: Vec<_> = due.iter().filter(|(at, ..)| at.main >= since && at.main <= since + 3).cloned().collect();
            prop_assert_eq!(events(Some(since), Some(since + 3), None), due);
        }
        if compact > 1 {
            prop_assert!(store.events(Some(compact - 1), None, None, &mut |_| ControlFlow::Continue(())).is_err());
        }

        // The live key that etcd makes of the marker cannot be reached by any client.
        prop_assert_eq!(answer(&store, model.last(), &RangeRequest::new(KeyRange::all())).1, model.live(model.last()).len() as u64);
        let keys: BTreeSet<&Vec<u8>> = model.log.iter().map(|(_, kv)| &kv.key).collect();
        for key in &keys {
            let of_key: Vec<_> = model.log.iter().filter(|(_, kv)| kv.key == **key).collect();
            let (mut seen, mut lives) = (Vec::new(), BTreeMap::new());
            store.history(key, &mut |version| {
                let event = version.event;
                seen.push((event.revision, version.change == Change::Deleted));
                if event.kind == EventKind::Put {
                    // A generation is one life: one create revision.
                    lives.entry(version.generation).or_insert_with(BTreeSet::new).insert(event.kv.create_revision);
                    let first = matches!(version.change, Change::Created | Change::Recreated);
                    assert_eq!(first, event.kv.version == 1, "{version:?}");
                }
                ControlFlow::Continue(())
            }).unwrap();
            prop_assert_eq!(seen, of_key.iter().map(|(at, _)| (at.revision, at.tombstone)).collect::<Vec<_>>());
            prop_assert!(lives.values().all(|creations| creations.len() == 1), "{:?}", lives);
        }

        // What is told of each key.
        let states: Vec<_> = store.at(None).unwrap().keys(KeyRange::all()).with_deleted().map(Result::unwrap).collect();
        prop_assert_eq!(states.iter().map(|s| s.key.to_vec()).collect::<Vec<_>>(), keys.into_iter().cloned().collect::<Vec<_>>());
        for state in states {
            let of_key: Vec<_> = model.log.iter().filter(|(_, kv)| kv.key == *state.key).collect();
            let bytes: usize = of_key.iter().map(|(_, kv)| kv.key.len() + kv.value.len()).sum();
            let (at, kv) = of_key.last().unwrap();
            prop_assert_eq!((state.revisions, state.bytes), (of_key.len() as u64, bytes as u64));
            prop_assert_eq!((state.revision, state.deleted, state.lease), (at.revision, at.tombstone, kv.lease));
            prop_assert_eq!((state.create_revision, state.version, state.value_len), (kv.create_revision, kv.version, kv.value.len() as u64));
        }
    }

    #[test]
    fn a_difference_is_the_models_and_the_events_between_lead_from_one_to_the_other(
        before in steps(), after in steps(), memory in memory(), content_only: bool,
    ) {
        let old = model(&before);
        // The same cluster later: nothing that was there is compacted, so that all events between are stored.
        let mut new = old.clone();
        for step in &after {
            if let Step::Txn(ops) = step {
                new.txn(ops);
            }
        }
        let (a, b) = (old.file(4096), new.file(1024));
        let (a, b) = (open(&a, memory), open(&b, memory));
        let (was, is) = (old.live(old.last()), new.live(new.last()));
        let options = DiffOptions { content_only, ..DiffOptions::default() };
        let differences = |one: &Store<'_>, other: &Store<'_>, from: Option<i64>| {
            let mut seen = BTreeMap::new();
            diff(one.at(from).unwrap(), other.at(None).unwrap(), &options, &mut |d| {
                assert!(seen.insert(d.key.to_vec(), d.kind).is_none(), "a key twice");
                ControlFlow::Continue(())
            }).unwrap();
            seen
        };
        let mut due = BTreeMap::new();
        for key in was.keys().chain(is.keys()) {
            let kind = match (was.get(key), is.get(key)) {
                (None, _) => DifferenceKind::Added,
                (_, None) => DifferenceKind::Removed,
                (Some(a), Some(b)) if a == b || (content_only && (a.lease, &a.value) == (b.lease, &b.value)) => continue,
                (Some(a), Some(b)) if a.create_revision != b.create_revision && !content_only => DifferenceKind::Recreated,
                _ => DifferenceKind::Changed,
            };
            due.insert(key.clone(), kind);
        }
        prop_assert_eq!(&differences(&a, &b, None), &due);
        prop_assert_eq!(differences(&a, &a, None), BTreeMap::new());
        prop_assert_eq!(differences(&b, &b, None), BTreeMap::new());
        // Within the newer file, at the older one's revision.
        prop_assert_eq!(&differences(&b, &b, Some(old.last())), &due);

        let mut state = was.clone();
        let mut touched = BTreeSet::new();
        b.events(Some(old.last() + 1), None, None, &mut |event| {
            touched.insert(event.kv.key.to_vec());
            if event.kind == EventKind::Put { state.insert(event.kv.key.to_vec(), event.kv.into()) } else { state.remove(event.kv.key) };
            ControlFlow::Continue(())
        }).unwrap();
        prop_assert_eq!(&state, &is);
        prop_assert!(due.keys().all(|key| touched.contains(key)));
        // Touched and not different: back to what it was, which with revisions is only to be absent.
        for key in touched.iter().filter(|key| !due.contains_key(*key) && !content_only) {
            prop_assert!(!was.contains_key(key) && !is.contains_key(key));
        }
    }
}
