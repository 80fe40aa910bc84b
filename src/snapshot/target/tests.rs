use super::*;

#[test]
fn a_dropped_target_leaves_nothing() {
    let directory = std::env::temp_dir().join(format!("heapdump-target-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    drop(Output::open(&directory.join("a"), None, 0o600).expect("opens"));
    assert_eq!(fs::read_dir(&directory).expect("readable").count(), 0);
    fs::remove_dir(&directory).expect("empty");
}

#[test]
fn default_names_are_reserved_once() {
    let directory = std::env::temp_dir().join(format!("heapdump-reserve-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let plain = |name: &str| Name { first: name.to_owned(), image: None };
    let names = || ["a", "b"].into_iter().map(plain);
    let (first, first_name) = FileTarget::reserve(&directory, 0o600, names()).expect("reserves");
    let (second, second_name) = FileTarget::reserve(&directory, 0o600, names()).expect("reserves");
    assert_eq!((first_name.as_str(), second_name.as_str()), ("a", "b"));
    // Another process, which knows nothing of this one's list, was faster.
    fs::write(directory.join("a"), "another's").expect("a file");
    first.publish().expect("takes its next name");
    assert_eq!(first.path(), directory.join("b"));
    assert!(second.publish().is_err(), "no name is left, and none is replaced");
    assert_eq!(fs::read(directory.join("a")).expect("readable"), b"another's");
    drop((first, second));
    assert_eq!(fs::read_dir(&directory).expect("readable").count(), 2);
    fs::remove_dir_all(&directory).expect("removable");
}
#[test]
fn a_name_is_reserved_while_another_directory_takes_its_time() {
    let here = std::env::temp_dir().join(format!("heapdump-slow-{}", std::process::id()));
    fs::create_dir_all(&here).expect("a directory");
    let (tell, told) = std::sync::mpsc::channel();
    let elsewhere = move || {
        std::thread::spawn(move || tell.send(Reservation::of(Path::new("elsewhere")).is_some()));
        told.recv_timeout(std::time::Duration::from_secs(60))
    };
    let names = std::iter::once_with(|| {
        assert_eq!(elsewhere(), Ok(true));
        Name { first: "a".to_owned(), image: None }
    });
    FileTarget::reserve(&here, 0o600, names).expect("reserves");
    fs::remove_dir(&here).expect("empty");
}

#[test]
fn a_file_that_becomes_an_image_has_an_image_s_name() {
    let directory = std::env::temp_dir().join(format!("heapdump-image-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let at = |name: &str| directory.join(name);
    let name = |stem: &str| Name {
        first: format!("{stem}.heapsnapshot"),
        image: Some(format!("{stem}.heapimage")),
    };
    let names = || ["a", "b", "c"].into_iter().map(name);
    fs::write(at("a.heapimage"), "another's").expect("a file");
    let (first, first_name) = FileTarget::reserve(&directory, 0o600, names()).expect("reserves");
    assert_eq!(first_name, "b.heapsnapshot", "both names of a are to be free");
    let (second, second_name) = FileTarget::reserve(&directory, 0o600, names()).expect("reserves");
    assert_eq!(second_name, "c.heapsnapshot");
    let output = Output::File(first);
    output.become_image();
    assert_eq!(output.path(), Some(&*at("b.heapimage")));
    // Another process was faster: it takes the next one, and replaces nothing.
    fs::write(at("b.heapimage"), "another's").expect("a file");
    output.publish().expect("takes its next name");
    assert_eq!(output.path(), Some(&*at("c.heapimage")));
    drop((output, second));

    let image = Some(at("d.heapimage"));
    let given = Output::open(&at("d.heapsnapshot"), image, 0o600).expect("opens");
    fs::write(at("d.heapsnapshot"), "older").expect("a file");
    given.become_image();
    given.publish().expect("has its name");
    assert!(given.is_published() && at("d.heapimage").exists());
    assert_eq!(fs::read(at("d.heapsnapshot")).expect("readable"), b"older");
    drop(given);
    // An image that could not be put there later is told now.
    fs::create_dir(at("e.heapimage")).expect("a directory");
    let image = Some(at("e.heapimage"));
    assert!(Output::open(&at("e.heapsnapshot"), image, 0o600).is_err());
    fs::remove_dir_all(&directory).expect("removable");
}
