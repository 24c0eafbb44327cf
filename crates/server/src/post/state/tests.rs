use super::*;

#[test]
fn where_a_gate_has_been_is_read_as_it_was_noted_also_without_a_hash() {
    let heard = Place { epoch: 2, position: Position(7), hash: vec![5; 32] };
    let (before, now) = (point(2, Position(9)), [point(2, Position(9)), point(2, Position(7)), vec![5; 32]]);
    let high = (2, Position(9));
    assert_eq!(past(&before), Some(Past { high, heard: None }), "what was noted before there were hashes");
    assert_eq!(past(&now.concat()), Some(Past { high, heard: Some(heard) }));
    assert_eq!(past(&now.concat()[..20]), None);
    assert_eq!(past(&before[..15]), None);
}
