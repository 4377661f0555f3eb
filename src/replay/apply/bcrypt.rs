//! bcrypt, as etcd stores passwords: `$2a$COST$` then 16 bytes of salt and 23 of hash, in bcrypt's own base64.

use base64::alphabet::BCRYPT;
use base64::engine::{Engine, GeneralPurpose, general_purpose::NO_PAD};
use blowfish::Blowfish;

/// Passwords are cut here, the zero byte at their end included.
const LONGEST: usize = 72;

/// The stored form of a password. `cost` is the binary logarithm of the rounds.
pub(super) fn hash(password: &[u8], cost: u32, salt: [u8; 16]) -> String {
    let key: Vec<u8> = password.iter().copied().chain([0]).take(LONGEST).collect();
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(&salt, &key);
    for _ in 0..1u64.checked_shl(cost).unwrap_or(0) {
        state.bc_expand_key(&key);
        state.bc_expand_key(&salt);
    }
    let mut hash = Vec::with_capacity(24);
    let (pairs, _) = b"OrpheanBeholderScryDoubt".as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs {
        let mut pair = [u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h])];
        for _ in 0..64 {
            pair = state.bc_encrypt(pair);
        }
        hash.extend(pair.iter().flat_map(|word| word.to_be_bytes()));
    }
    hash.pop();
    let base64 = GeneralPurpose::new(&BCRYPT, NO_PAD);
    format!("$2a${cost:02}${}{}", base64.encode(salt), base64.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        // From the test vectors of crypt_blowfish.
        let base64 = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));
        for (password, due) in [
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        ] {
            let salt = base64.decode(&due[7..29]).unwrap().try_into().unwrap();
            assert_eq!(hash(password.as_bytes(), 5, salt), due);
        }
    }
}
