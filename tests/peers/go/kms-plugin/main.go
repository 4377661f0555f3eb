// A KMS v2 plugin for the API server: kms-plugin SOCKET KEYS KEYID
//
// It serves on the Unix socket SOCKET, says that its key is KEYID, and adds to KEYS what it was given to encrypt, a line each:
//
//	key id, base64 of what came in, base64 of what went out
//
// which is what a KMS never tells, and what `coldbolt --kms-key` reads. An API server gives it the seed of its keys.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"k8s.io/kms/pkg/service"
)

// What went out begins with this; the rest is what came in, masked: a cipher of its own would show nothing more.
const wrapping = "wrapped:"

type plugin struct{ keys, id string }

// mask is its own inverse.
func mask(data []byte) []byte {
	masked := bytes.Clone(data)
	for i := range masked {
		masked[i] ^= 0xa5
	}
	return masked
}

func (p plugin) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	wrapped := append([]byte(wrapping), mask(data)...)
	encode := base64.StdEncoding.EncodeToString
	line := fmt.Sprintf("%s %s %s\n", p.id, encode(data), encode(wrapped))
	file, err := os.OpenFile(p.keys, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(line); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	annotations := map[string][]byte{"made-by.kms-plugin.example.com": []byte(p.id)}
	return &service.EncryptResponse{Ciphertext: wrapped, KeyID: p.id, Annotations: annotations}, nil
}

func (p plugin) Decrypt(_ context.Context, _ string, request *service.DecryptRequest) ([]byte, error) {
	rest, ok := bytes.CutPrefix(request.Ciphertext, []byte(wrapping))
	if !ok {
		return nil, errors.New("not wrapped by this plugin")
	}
	return mask(rest), nil
}

func (p plugin) Status(context.Context) (*service.StatusResponse, error) {
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: p.id}, nil
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: kms-plugin SOCKET KEYS KEYID")
	}
	server := service.NewGRPCService(os.Args[1], 5*time.Second, plugin{keys: os.Args[2], id: os.Args[3]})
	log.Fatal(server.ListenAndServe())
}
