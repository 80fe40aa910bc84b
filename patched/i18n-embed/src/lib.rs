//! What `age` names of i18n-embed, without languages.

pub mod fluent {
    use crate::unic_langid::LanguageIdentifier;
    use crate::{I18nAssets, I18nEmbedError, LanguageLoader};

    pub struct FluentLanguageLoader;

    impl LanguageLoader for FluentLanguageLoader {}

    impl FluentLanguageLoader {
        pub fn load_languages(
            &self,
            _: &dyn I18nAssets,
            _: &[LanguageIdentifier],
        ) -> Result<(), I18nEmbedError> {
            Ok(())
        }

        pub fn set_use_isolating(&self, _: bool) {}
    }

    #[doc(hidden)]
    #[macro_export]
    macro_rules! language_loader {
        () => {
            $crate::fluent::FluentLanguageLoader
        };
    }
    pub use crate::language_loader as fluent_language_loader;
}

pub mod unic_langid {
    #[derive(Clone, Debug)]
    pub struct LanguageIdentifier;

    impl std::str::FromStr for LanguageIdentifier {
        type Err = crate::I18nEmbedError;

        fn from_str(_: &str) -> Result<Self, Self::Err> {
            Ok(Self)
        }
    }
}

use unic_langid::LanguageIdentifier;

#[derive(Debug)]
pub enum I18nEmbedError {}

pub trait LanguageLoader {}

pub trait I18nAssets {}
impl<T> I18nAssets for T {}

pub trait Localizer {
    fn language_loader(&self) -> &'_ dyn LanguageLoader;
    fn i18n_assets(&self) -> &'_ dyn I18nAssets;
    fn select(
        &self,
        requested: &[LanguageIdentifier],
    ) -> Result<Vec<LanguageIdentifier>, I18nEmbedError>;
}

pub fn select(
    _: &dyn LanguageLoader,
    _: &dyn I18nAssets,
    _: &[LanguageIdentifier],
) -> Result<Vec<LanguageIdentifier>, I18nEmbedError> {
    Ok(Vec::new())
}
