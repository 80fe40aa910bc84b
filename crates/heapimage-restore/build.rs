//! Link settings of the program: static, without the C library and its start, and below every other program.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=restorer.ld");
    if var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let directory = var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let script = format!("-Wl,-T,{directory}/restorer.ld");
    for argument in
        ["-nostartfiles", "-nostdlib", "-static", "-no-pie", &script, "-Wl,--build-id=none"]
    {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
