//! The cluster secret: made once, then the same for everybody.

use super::keys;
use crate::{Error, Meta, Txn};

/// The cluster secret. Where there is none yet, `candidate` becomes it; of several that try, one wins and all
/// get the winner's.
pub async fn secret(meta: &Meta, candidate: [u8; 16]) -> Result<[u8; 16], Error> {
    if let Some(found) = meta.get(keys::SECRET).await? {
        return read(&found.value);
    }
    let text = format!("{:032x}", u128::from_be_bytes(candidate));
    match meta
        .commit(Txn::new().expect(keys::SECRET, None).put(keys::SECRET, text))
        .await
    {
        Ok(_) => Ok(candidate),
        Err(Error::Conflict { .. }) => match meta.get(keys::SECRET).await? {
            Some(found) => read(&found.value),
            None => Err(malformed("removed while it was read")),
        },
        Err(e) => Err(e),
    }
}

fn read(value: &[u8]) -> Result<[u8; 16], Error> {
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or_else(|| malformed("not 32 hexadecimal digits"))?;
    let number = u128::from_str_radix(digits, 16).map_err(|e| malformed(&e.to_string()))?;
    Ok(number.to_be_bytes())
}

fn malformed(detail: &str) -> Error {
    Error::Malformed {
        key: keys::SECRET.into(),
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_secret_stays() {
        let meta = Meta::in_memory();
        assert_eq!(secret(&meta, [1; 16]).await, Ok([1; 16]));
        assert_eq!(secret(&meta, [2; 16]).await, Ok([1; 16]));
    }

    #[tokio::test]
    async fn all_that_start_at_once_get_the_same_secret() {
        let meta = Meta::in_memory();
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let meta = meta.clone();
                tokio::spawn(async move { secret(&meta, [n; 16]).await.unwrap() })
            })
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        for task in tasks {
            seen.insert(task.await.unwrap());
        }
        assert_eq!(seen.len(), 1);
    }

    #[tokio::test]
    async fn a_mangled_secret_is_an_error_and_stays() {
        let meta = Meta::in_memory();
        meta.commit(Txn::new().put(keys::SECRET, "+123")).await.unwrap();
        assert!(matches!(
            secret(&meta, [1; 16]).await,
            Err(Error::Malformed { .. })
        ));
        assert_eq!(&*meta.get(keys::SECRET).await.unwrap().unwrap().value, b"+123");
    }
}
