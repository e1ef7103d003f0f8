#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::sessions_journal::run(data));
