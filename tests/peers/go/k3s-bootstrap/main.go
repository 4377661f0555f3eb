// Prints a bootstrap key and value as servers of k3s and rke2 keep them, made by Go's own cryptography after the
// published layout (k3s pkg/cluster/encrypt.go, pkg/bootstrap/bootstrap.go): the token is the first argument, the
// plain text is read from standard input. Salt and nonce are fixed, so that the same input gives the same bytes.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

const salt = "0123456789abcdef"

func main() {
	password := os.Args[1]
	plain, err := io.ReadAll(os.Stdin)
	fail(err)
	key, err := pbkdf2.Key(sha1.New, password, []byte(salt), 4096, 32)
	fail(err)
	block, err := aes.NewCipher(key)
	fail(err)
	gcm, err := cipher.NewGCM(block)
	fail(err)
	nonce := []byte("twelve bytes")
	sum := sha256.Sum256([]byte(password))
	fmt.Println("/bootstrap/" + hex.EncodeToString(sum[:])[:12])
	fmt.Println(salt + ":" + base64.StdEncoding.EncodeToString(gcm.Seal(nonce, nonce, plain, nil)))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
