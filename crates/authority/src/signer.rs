//! Signs what Keygate tells others of who asks: JWTs (RFC 7519) with Ed25519 (RFC 8037).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::{BASE64URL_NOPAD, Encoding};
use sha2::{Digest as _, Sha256};

const TEXT: Encoding = BASE64URL_NOPAD;

/// One key, which every node on the same key file has too.
pub struct Signer {
    /// None: the library refused the seed, which it does only to those of another length.
    pair: Option<Ed25519KeyPair>,
    id: String,
    header: String,
}

impl Signer {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok();
        let id = pair.as_ref().map(|pair| thumbprint(&public(pair))).unwrap_or_default();
        let header = TEXT.encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{id}"}}"#).as_bytes());
        Self { pair, id, header }
    }

    /// The name of the key (RFC 7638), and its public half, for those who verify. Both in base64url.
    #[must_use]
    pub fn public(&self) -> Option<(&str, String)> {
        self.pair.as_ref().map(|pair| (self.id.as_str(), public(pair)))
    }

    /// The JWT with these claims, JSON as it stands. None if it could not be signed.
    #[must_use]
    pub fn sign(&self, claims: &[u8]) -> Option<String> {
        let pair = self.pair.as_ref()?;
        let mut jwt = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 92);
        jwt.push_str(&self.header);
        jwt.push('.');
        TEXT.encode_append(claims, &mut jwt);
        let signature = pair.try_sign(jwt.as_bytes()).ok()?;
        jwt.push('.');
        TEXT.encode_append(signature.as_ref(), &mut jwt);
        Some(jwt)
    }
}

fn public(pair: &Ed25519KeyPair) -> String {
    TEXT.encode(pair.public_key().as_ref())
}

/// The members that RFC 8037 §2 wants, in the order of RFC 7638 §3.
fn thumbprint(x: &str) -> String {
    TEXT.encode(&Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.
    #[test]
    fn it_signs_as_the_standard_does() {
        let seed = TEXT.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let mut signer = Signer::new(&seed.try_into().unwrap());
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(signer.public(), Some(("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", x.to_owned())));
        signer.header = TEXT.encode(br#"{"alg":"EdDSA"}"#);
        let jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                   hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(signer.sign(b"Example of Ed25519 signing").as_deref(), Some(jws));
    }
}
