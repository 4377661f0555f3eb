// mkbolt writes bbolt files for tests with the real library: nested and inline buckets, branch pages, overflow
// values, free pages. The same flags and seed give the same bytes.
//
// bbolt walks Go maps, whose order is random, when a transaction has several buckets open or rebalances several
// leaves. So here each transaction has one chain of buckets open and deletes at most one key.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

type options struct {
	out, hold                                     string
	freelist                                      bool
	pageSize, nested, keys, valueSize, deleteEach int
	seed                                          uint64
}

func main() {
	var o options
	flag.StringVar(&o.out, "o", "", "`file` to write; it must not exist")
	flag.StringVar(&o.hold, "hold", "", "open this `file` as etcd does until standard input ends, and do nothing more; it is made if it is not there")
	flag.IntVar(&o.pageSize, "page-size", 4096, "bytes, a power of two from 1024 to 65536")
	flag.BoolVar(&o.freelist, "freelist", true, "persist the freelist")
	flag.IntVar(&o.nested, "nested", 3, "depth of the chain of buckets below \"nested\"")
	flag.IntVar(&o.keys, "keys", 1000, "keys put into \"flat\"")
	flag.IntVar(&o.valueSize, "value-size", 100, "longest value in \"flat\", bytes")
	flag.Uint64Var(&o.seed, "seed", 1, "random `seed`")
	flag.IntVar(&o.deleteEach, "delete-every", 0, "delete each K-th key of \"flat\" again; 0: none")
	flag.Parse()

	if o.hold != "" {
		if err := hold(o.hold, o.pageSize); err != nil {
			fmt.Fprintln(os.Stderr, "mkbolt:", err)
			os.Exit(1)
		}
		return
	}
	if o.out == "" || flag.NArg() > 0 || o.nested < 0 || o.keys < 0 || o.valueSize < 0 || o.deleteEach < 0 ||
		o.pageSize < 1024 || o.pageSize > 65536 || o.pageSize&(o.pageSize-1) != 0 {
		flag.Usage()
		os.Exit(2)
	}
	err := write(o)
	if err == nil {
		err = report(o.out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkbolt:", err)
		os.Exit(1)
	}
}

// hold has the lock of a file for as long as standard input lasts.
func hold(file string, pageSize int) error {
	db, err := bolt.Open(file, 0o600, &bolt.Options{PageSize: pageSize, Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	fmt.Println("held")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, db.Close())
}

func write(o options) error {
	if _, err := os.Lstat(o.out); err == nil {
		return fmt.Errorf("%s: exists", o.out)
	}
	db, err := bolt.Open(o.out, 0o600, &bolt.Options{
		PageSize:       o.pageSize,
		NoFreelistSync: !o.freelist,
		FreelistType:   bolt.FreelistArrayType, // the other one allocates in the order of a map
		NoSync:         true,
	})
	if err != nil {
		return err
	}
	w := writer{db: db, rng: rand.New(rand.NewPCG(o.seed, 0))}

	keys := w.items("flat", o.keys, o.valueSize)
	for depth := range o.nested + 1 {
		w.nest(depth)
	}
	for pages := range 6 { // a little over 0 to 5 pages
		w.put("overflow", fmt.Appendf(nil, "pages-%d", pages), w.bytes(pages*o.pageSize+10))
	}
	for n := range 6 {
		name := fmt.Sprintf("inline-%d", n)
		w.sequence(name, uint64(n)<<40)
		for i := range n {
			w.put(name, fmt.Appendf(nil, "key-%d", i), w.bytes(i))
		}
	}
	w.items("gone", o.keys/4, o.valueSize)
	w.put("gone", []byte("big"), w.bytes(8*o.pageSize))
	w.update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("gone")) })
	for i := o.deleteEach; i > 0 && i <= len(keys); i += o.deleteEach {
		w.update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("flat")).Delete(keys[i-1]) })
	}
	if w.err != nil {
		return w.err
	}
	if err := db.Sync(); err != nil {
		return err
	}
	return db.Close()
}

// A writer does nothing more after its first error.
type writer struct {
	db  *bolt.DB
	rng *rand.Rand
	err error
}

func (w *writer) update(f func(*bolt.Tx) error) {
	if w.err == nil {
		w.err = w.db.Update(f)
	}
}

func (w *writer) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.rng.Uint64())
	}
	return b
}

func (w *writer) put(bucket string, key, value []byte) {
	w.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put(key, value)
	})
}

func (w *writer) sequence(bucket string, n uint64) {
	w.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.SetSequence(n)
	})
}

// items puts n items into bucket, 500 a transaction, in random order, and returns the keys in ascending order: a
// big-endian number and up to 24 random bytes. A value has 0 to longest bytes.
func (w *writer) items(bucket string, n, longest int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = append(binary.BigEndian.AppendUint32(nil, uint32(i)), w.bytes(w.rng.IntN(25))...)
	}
	order := w.rng.Perm(n)
	for start := 0; start == 0 || start < n; start += 500 {
		w.update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			if err != nil {
				return err
			}
			for _, i := range order[start:min(start+500, n)] {
				if err := b.Put(keys[i], w.bytes(w.rng.IntN(longest+1))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return keys
}

// nest makes the bucket nested/1/2/.../depth with three items; its parents are there already.
func (w *writer) nest(depth int) {
	w.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("nested"))
		for d := 1; d <= depth && err == nil; d++ {
			b, err = b.CreateBucketIfNotExists(fmt.Append(nil, d))
		}
		for i := 0; i < 3 && err == nil; i++ {
			err = b.Put(fmt.Appendf(nil, "key-%d", i), w.bytes(10*depth))
		}
		return err
	})
}

// report lets the library check the file and says in one line what is in it.
func report(file string) error {
	db, err := bolt.Open(file, 0, &bolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		s := tx.Cursor().Bucket().Stats()
		fmt.Printf("%s: page size %d, %d pages, %d free, txid %d; %d keys, depth %d, %d buckets (%d inline), "+
			"pages: %d branch, %d leaf, %d overflow\n",
			file, db.Info().PageSize, tx.Size()/int64(db.Info().PageSize), db.Stats().FreePageN, tx.ID(), s.KeyN, s.Depth,
			s.BucketN, s.InlineBucketN, s.BranchPageN, s.LeafPageN, s.BranchOverflowN+s.LeafOverflowN)
		return nil
	})
}
