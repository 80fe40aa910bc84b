//! Link settings of a Node-API addon (symbols of Node are resolved when it is loaded).

fn main() {
    napi_build::setup();
}
