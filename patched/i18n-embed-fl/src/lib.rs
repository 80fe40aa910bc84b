//! A message is its name.

#[macro_export]
macro_rules! fl {
    ($loader:expr, $id:literal $(, $($arguments:tt)*)?) => {
        ::std::string::String::from($id)
    };
}
