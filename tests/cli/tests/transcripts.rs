//! Runs the transcripts against the installer that was built beside this test.

use cli_tests::program;

#[test]
fn the_command_line_answers_as_it_is_written_down() {
    trycmd::TestCases::new()
        .register_bin("pcoip-cmsg-setup", program("pcoip-cmsg-setup"))
        .env("COLUMNS", "100")
        .insert_var("[VERSION]", env!("CARGO_PKG_VERSION"))
        .expect("the variable is well-formed")
        .case("cmd/*.trycmd");
}
