//! Signs what Keygate tells others of who asks: JWTs (RFC 7519) with Ed25519 (RFC 8037).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::{BASE64URL_NOPAD, Encoding};
use sha2::{Digest as _, Sha256};

const TEXT: Encoding = BASE64URL_NOPAD;

/// The `typ` of a receipt.
const RECEIPT: &str = "keygate-receipt+jwt";

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReceipt {
    /// Not three parts of base64url, or not a receipt's header.
    #[error("this is no receipt")]
    Malformed,
    /// Its key is none of those that were given.
    #[error("it was signed with another key")]
    OtherKey,
    /// The signature is not of what it says.
    #[error("its signature is not right: it was changed, or made by somebody else")]
    Forged,
}

/// What a receipt says that one of these keys has signed: each by its name and its public half, as [`Signer::public`] tells
/// them.
///
/// # Errors
/// [`NoReceipt`].
pub fn read_receipt(receipt: &str, keys: &[(String, String)]) -> Result<Vec<u8>, NoReceipt> {
    let (signed, signature) = receipt.rsplit_once('.').ok_or(NoReceipt::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(NoReceipt::Malformed)?;
    let bytes = |part: &str| TEXT.decode(part.as_bytes()).map_err(|_| NoReceipt::Malformed);
    let header: serde_json::Value =
        serde_json::from_slice(&bytes(header)?).map_err(|_| NoReceipt::Malformed)?;
    if header["typ"] != RECEIPT || header["alg"] != "EdDSA" {
        return Err(NoReceipt::Malformed);
    }
    let key = keys.iter().find(|(id, _)| header["kid"] == id.as_str());
    let (_, public) = key.ok_or(NoReceipt::OtherKey)?;
    UnparsedPublicKey::new(&ED25519, bytes(public)?)
        .verify(signed.as_bytes(), &bytes(signature)?)
        .map_err(|_| NoReceipt::Forged)?;
    bytes(claims)
}

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
        self.sign_under(&self.header, claims)
    }

    /// The receipt with these claims: of another type than an identity, so that neither passes for the other.
    #[must_use]
    pub fn sign_receipt(&self, claims: &[u8]) -> Option<String> {
        let header = format!(r#"{{"alg":"EdDSA","typ":"{RECEIPT}","kid":"{}"}}"#, self.id);
        self.sign_under(&TEXT.encode(header.as_bytes()), claims)
    }

    fn sign_under(&self, header: &str, claims: &[u8]) -> Option<String> {
        let pair = self.pair.as_ref()?;
        let mut jwt = String::with_capacity(header.len() + claims.len() * 4 / 3 + 92);
        jwt.push_str(header);
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

    #[test]
    fn a_receipt_is_read_by_its_key_alone_and_as_it_was_signed() {
        let signer = Signer::new(&[1; 32]);
        let keys = |signer: &Signer| {
            signer.public().map(|(id, x)| (id.to_owned(), x)).into_iter().collect::<Vec<_>>()
        };
        let receipt = signer.sign_receipt(br#"{"position":7}"#).unwrap();
        assert_eq!(read_receipt(&receipt, &keys(&signer)).as_deref(), Ok(&br#"{"position":7}"#[..]));
        assert_eq!(read_receipt(&receipt, &keys(&Signer::new(&[2; 32]))), Err(NoReceipt::OtherKey));
        let mut other = receipt.split('.').map(str::to_owned).collect::<Vec<_>>();
        other[1] = TEXT.encode(br#"{"position":8}"#);
        assert_eq!(read_receipt(&other.join("."), &keys(&signer)), Err(NoReceipt::Forged));
        let identity = signer.sign(br#"{"position":7}"#).unwrap();
        assert_eq!(read_receipt(&identity, &keys(&signer)), Err(NoReceipt::Malformed));
        assert_eq!(read_receipt("a.b", &keys(&signer)), Err(NoReceipt::Malformed));
    }

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
