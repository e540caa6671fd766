//! What rustc says to a user who gets it wrong; the snapshots are beside the programs in `tests/compile_fail`.

#[test]
fn mistakes_have_readable_messages() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
