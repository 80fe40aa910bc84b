//! The commands' answers, as people and programs see them. `TRYCMD=overwrite cargo test -p heapdump-cli`
//! writes them anew, to be reviewed.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
