// Closes and opens standard input with a passphrase by Go's age, which asks for one on a terminal only:
//
//	age-peer encrypt|decrypt PASSPHRASE WORK <IN >OUT
//
// WORK is the logarithm of scrypt's work; of decrypt, the most that is done.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"filippo.io/age"
)

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("age-peer encrypt|decrypt PASSPHRASE WORK"))
	}
	work, err := strconv.Atoi(os.Args[3])
	fail(err)
	if os.Args[1] == "encrypt" {
		recipient, err := age.NewScryptRecipient(os.Args[2])
		fail(err)
		recipient.SetWorkFactor(work)
		out, err := age.Encrypt(os.Stdout, recipient)
		fail(err)
		_, err = io.Copy(out, os.Stdin)
		fail(err)
		fail(out.Close())
		return
	}
	identity, err := age.NewScryptIdentity(os.Args[2])
	fail(err)
	identity.SetMaxWorkFactor(work)
	in, err := age.Decrypt(os.Stdin, identity)
	fail(err)
	_, err = io.Copy(os.Stdout, in)
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
