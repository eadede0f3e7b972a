//! Short digests that distinguish values without keeping them.

use sha2::{Digest, Sha256};

/// 128 bits of SHA-256 over the parts and their lengths: nobody can make two lists of parts collide on purpose.
pub(crate) fn digest(parts: &[&[u8]]) -> u128 {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part.len().to_le_bytes());
        sha.update(part);
    }
    let mut digest = [0; 16];
    digest.iter_mut().zip(sha.finalize()).for_each(|(to, from)| *to = from);
    u128::from_le_bytes(digest)
}
