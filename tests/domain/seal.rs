//! Sealing: what opens a value, and what does not.

use pg_edge::domain::seal::{KEY_BYTES, Key, Keyring, NONCE_BYTES, SealError, Sealed};
use zeroize::Zeroizing;

fn key(byte: u8) -> Key {
    Key::new(Zeroizing::new([byte; KEY_BYTES]))
}

fn ring(keys: &[Key]) -> Keyring {
    let file: String = keys.iter().map(|key| key.line().to_string()).collect();
    Keyring::parse(&file).unwrap()
}

fn sealed() -> Sealed {
    key(1).seal("name", [7; NONCE_BYTES], b"value").unwrap()
}

#[test]
fn a_value_opens_with_its_key_and_name_and_with_nothing_else() {
    let keys = ring(&[key(1), key(2)]);
    let good = sealed();
    assert_eq!(keys.open("name", &good).unwrap().as_slice(), b"value");
    assert!(!good.ciphertext.windows(5).any(|window| window == b"value"));
    let does_not_open = SealError::DoesNotOpen(key(1).id);
    assert_eq!(keys.open("other", &good), Err(does_not_open.clone()));
    for index in 0..good.ciphertext.len() {
        let mut bad = good.clone();
        bad.ciphertext[index] ^= 1;
        assert_eq!(keys.open("name", &bad), Err(does_not_open.clone()), "byte {index}");
    }
    let other_nonce = Sealed { nonce: vec![8; NONCE_BYTES], ..good.clone() };
    let short_nonce = Sealed { nonce: vec![7; 4], ..good.clone() };
    let other_key = Sealed { key_id: key(2).id, ..good.clone() };
    assert_eq!(keys.open("name", &other_nonce), Err(does_not_open.clone()));
    assert_eq!(keys.open("name", &short_nonce), Err(does_not_open));
    assert_eq!(keys.open("name", &other_key), Err(SealError::DoesNotOpen(key(2).id)));
    assert_eq!(ring(&[key(2)]).open("name", &good), Err(SealError::MissingKey(key(1).id)));
}

#[test]
fn the_last_key_of_the_file_seals() {
    assert_eq!(ring(&[key(1), key(2)]).newest().unwrap().id, key(2).id);
    let none = Keyring::parse("# nothing here\n\n").unwrap();
    assert_eq!(none.newest().map(|key| key.id.clone()), Err(SealError::NoKey));
}

#[test]
fn a_key_file_is_read_with_comments_and_without_a_line_that_was_cut_off() {
    let (first, second) = (key(1), key(2));
    let text = format!("# keys of pg_edge\n{}\n{}", *first.line(), second.line().trim_end());
    assert_eq!(Keyring::parse(&text).unwrap().newest().unwrap().id, first.id);
}

#[test]
fn a_line_that_is_no_key_is_named_and_not_shown() {
    let good = key(1).line().to_string();
    let swapped = good.replace(&key(1).id, &key(2).id);
    let table = [
        ("hush\n".to_owned(), SealError::Line(1)),
        (format!("{good}0123 hush\n"), SealError::Line(2)),
        (format!("{good}0123 aHVzaA==\n"), SealError::Line(2)),
        (swapped, SealError::Damaged(1)),
    ];
    for (text, error) in table {
        let found = Keyring::parse(&text).err().unwrap();
        assert!(!found.to_string().contains("hush"));
        assert_eq!(found, error);
    }
}
