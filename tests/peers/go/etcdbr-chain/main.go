// Command etcdbr-chain stores a running etcd as gardener's etcd-backup-restore does, by its published layout: that
// program itself is not to be had as a module. Keys, events and packing are Go's own and those of etcd's client.
//
//	etcdbr-chain ENDPOINT DIR full PACKING
//	etcdbr-chain ENDPOINT DIR increment PACKING FIRST LAST
package main

import (
	"bytes"
	"compress/gzip"
	"compress/lzw"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type event struct {
	EtcdEvent *clientv3.Event `json:"etcdEvent"`
	Time      time.Time       `json:"time"`
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func packed(packing string, out io.Writer) io.WriteCloser {
	switch packing {
	case ".gz":
		return gzip.NewWriter(out)
	case ".zlib":
		return zlib.NewWriter(out)
	case ".Z":
		return lzw.NewWriter(out, lzw.LSB, 8)
	}
	return nil
}

func main() {
	log.SetFlags(0)
	endpoint, dir, kind, packing := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second})
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var first, last int64
	var content io.Reader
	var name string
	if kind == "full" {
		answer, err := client.Get(ctx, "foo")
		check(err)
		last, name = answer.Header.Revision, "Full"
		content, err = client.Snapshot(ctx)
		check(err)
	} else {
		first, err = strconv.ParseInt(os.Args[5], 10, 64)
		check(err)
		last, err = strconv.ParseInt(os.Args[6], 10, 64)
		check(err)
		name, content = "Incr", bytes.NewReader(events(ctx, client, first, last))
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%08d-%08d-%d%s", name, first, last, time.Now().Unix(), packing))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	check(err)
	if out := packed(packing, file); out != nil {
		_, err = io.Copy(out, content)
		check(err)
		check(out.Close())
	} else {
		_, err = io.Copy(file, content)
		check(err)
	}
	check(file.Close())
	fmt.Println(path)
}

func events(ctx context.Context, client *clientv3.Client, first, last int64) []byte {
	var out []byte
	for answer := range client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(first)) {
		check(answer.Err())
		for _, change := range answer.Events {
			text, err := json.Marshal(&event{change, time.Now()})
			check(err)
			if len(out) == 0 {
				out = append(out, '[')
			} else {
				out = append(out, ',')
			}
			out = append(out, text...)
		}
		if n := len(answer.Events); n > 0 && answer.Events[n-1].Kv.ModRevision >= last {
			break
		}
	}
	out = append(out, ']')
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}
