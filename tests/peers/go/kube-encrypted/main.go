// kube-encrypted writes values as API servers encrypt them, by their own code: a line of JSON for each provider, with
// what opens it. Those of providers that a recorded cluster does not have, as no API server of today writes them.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"google.golang.org/protobuf/proto"
	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope"
	kmstypes "k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/v2"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"
)

const key = "/registry/secrets/default/one"

var plain = []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"one","namespace":"default"},"data":{"a":"Yg=="}}`)

// line is what one provider stored, and its key. Of a KMS the key is the one it wrapped.
type line struct {
	Prefix  string `json:"prefix"`
	Key     string `json:"key"`
	Plain   []byte `json:"plain"`
	Value   []byte `json:"value"`
	Secret  []byte `json:"secret"`
	Wrapped []byte `json:"wrapped,omitempty"`
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func random(n int) []byte {
	bytes := make([]byte, n)
	must(rand.Read(bytes))
	return bytes
}

// kms remembers what it was asked to wrap.
type kms struct{ plain, wrapped []byte }

func (k *kms) Encrypt(data []byte) ([]byte, error) {
	k.plain, k.wrapped = data, append([]byte("wrapped-"), random(24)...)
	return k.wrapped, nil
}

func (k *kms) Decrypt([]byte) ([]byte, error) { return k.plain, nil }

func gcm(block cipher.Block) (value.Transformer, error) {
	return aestransformer.NewGCMTransformer(block)
}

func cbc(block cipher.Block) (value.Transformer, error) {
	return aestransformer.NewCBCTransformer(block), nil
}

func main() {
	out := json.NewEncoder(os.Stdout)
	sealed := func(transformer value.Transformer) []byte {
		return must(transformer.TransformToStorage(context.Background(), plain, value.DefaultContext(key)))
	}
	write := func(prefix string, stored, secret, wrapped []byte) {
		stored = append([]byte("k8s:enc:"+prefix), stored...)
		must(0, out.Encode(line{prefix, key, plain, stored, secret, wrapped}))
	}
	for _, size := range []int{16, 24, 32} {
		secret := random(size)
		block := must(aes.NewCipher(secret))
		write(fmt.Sprintf("aescbc:v1:key%d:", size), sealed(must(cbc(block))), secret, nil)
		write(fmt.Sprintf("aesgcm:v1:key%d:", size), sealed(must(gcm(block))), secret, nil)
	}
	secret := [32]byte(random(32))
	write("secretbox:v1:key32:", sealed(secretbox.NewSecretboxTransformer(secret)), secret[:], nil)
	for name, base := range map[string]func(cipher.Block) (value.Transformer, error){"gcm": gcm, "cbc": cbc} {
		service := &kms{}
		stored := sealed(envelope.NewEnvelopeTransformer(service, 0, base))
		write("kms:v1:"+name+":", stored, service.plain, service.wrapped)
	}
	for source, name := range map[kmstypes.EncryptedDEKSourceType]string{
		kmstypes.EncryptedDEKSourceType_AES_GCM_KEY:                     "key",
		kmstypes.EncryptedDEKSourceType_HKDF_SHA256_XNONCE_AES_GCM_SEED: "seed",
	} {
		secret, wrapped := random(32), random(40)
		transformer := must(gcm(must(aes.NewCipher(secret))))
		if name == "seed" {
			transformer = must(aestransformer.NewHKDFExtendedNonceGCMTransformer(secret))
		}
		stored := must(proto.Marshal(&kmstypes.EncryptedObject{
			EncryptedData: sealed(transformer), KeyID: "id/" + name, EncryptedDEKSource: wrapped,
			EncryptedDEKSourceType: source, Annotations: map[string][]byte{"a.example.com": {0, 255}},
		}))
		write("kms:v2:"+name+":", stored, secret, wrapped)
	}
}
