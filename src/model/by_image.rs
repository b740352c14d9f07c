//! One value for each image, as small as it gets.
//!
//! It is made whole and read: nothing is added to it.

use super::ImageName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One value for each image, in the order of the images' names. Most hold one or two, and there are many of them: they
/// take no more room than they need, and clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByImage<T>(Arc<[(ImageName, T)]>);

impl<T> ByImage<T> {
    /// The value of an image.
    #[must_use]
    pub fn get(&self, image: &ImageName) -> Option<&T> {
        let at = self.0.binary_search_by(|(name, _)| name.cmp(image)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each image and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&ImageName, &T)> + Clone {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The values alone.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<T> Default for ByImage<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Of two values of one image the later counts.
impl<T> FromIterator<(ImageName, T)> for ByImage<T> {
    fn from_iter<I: IntoIterator<Item = (ImageName, T)>>(values: I) -> Self {
        let sorted: BTreeMap<ImageName, T> = values.into_iter().collect();
        Self(sorted.into_iter().collect())
    }
}

impl<T, const N: usize> From<[(ImageName, T); N]> for ByImage<T> {
    fn from(values: [(ImageName, T); N]) -> Self {
        values.into_iter().collect()
    }
}
