//! Validation: whether a value that was read well is one that is allowed.
//!
//! [`Validate`] is our own trait, and [`Valid`] the argument that asks for it. With the feature `garde`, on by default,
//! every type that derives `garde::Validate` has it through one blanket implementation, so that a service writes no
//! adapter. A type without garde's derive implements [`Validate`] by hand, beside the blanket implementation: a foreign
//! crate cannot give a type of yours garde's trait, so the compiler knows that the two never meet. A wrapper type or a
//! registered validator (Echo's way, which is a 500 when it was forgotten) would cost every service a line and could be
//! missing at run time only.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::{Error, Field, Result};
use crate::extract::{
    Bind, Cookie, Extract, ExtractOptional, Form, Header, Json, Needs, Path, Query, values::Source,
};

/// The most fields that an answer lists: a large list may be wrong in each of its places.
const MOST_FIELDS: usize = 100;

/// A value that can say whether it is allowed.
///
/// Derive `garde::Validate` (feature `garde`, on by default), or implement it:
///
/// ```
/// use seawall_http::{Invalid, Validate};
///
/// struct Stay {
///     from: u32,
///     to: u32,
///     guests: Vec<Guest>,
/// }
/// struct Guest {
///     age: u8,
/// }
///
/// impl Validate for Stay {
///     fn validate(&self) -> Result<(), Invalid> {
///         let mut invalid = Invalid::default();
///         invalid.unless(self.from < self.to, "to", "must be after `from`");
///         for (at, guest) in self.guests.iter().enumerate() {
///             invalid.unless(guest.age < 150, format!("guests[{at}].age"), "must be below 150");
///         }
///         invalid.into_result()
///     }
/// }
///
/// let stay = Stay { from: 3, to: 2, guests: vec![Guest { age: 200 }] };
/// let invalid = stay.validate().unwrap_err();
/// assert_eq!(invalid.to_string(), "to: must be after `from`; guests[0].age: must be below 150");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be validated",
    label = "it does not say which values are allowed",
    note = "derive `garde::Validate` for the type inside (its context must be `Default`), or write `impl Validate`"
)]
pub trait Validate {
    /// Whether it is allowed, and if not, all that is wrong.
    ///
    /// # Errors
    /// Every field that is not allowed.
    fn validate(&self) -> Result<(), Invalid>;
}

/// What is not allowed, field by field; as an [`Error`], a 422 that lists the first hundred.
#[derive(Debug, Clone, Default)]
pub struct Invalid {
    fields: Vec<Field>,
    /// How many more there are.
    unlisted: usize,
}

impl Invalid {
    /// Adds `field`, written as a path (`items[2].sku`; empty for the whole), with what would be right.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, message: impl fmt::Display) {
        if self.fields.len() < MOST_FIELDS {
            self.fields.push(Field { field: field.into(), message: message.to_string() });
        } else {
            self.unlisted += 1;
        }
    }
    /// Adds `field` unless `allowed`.
    pub fn unless(&mut self, allowed: bool, field: impl Into<Cow<'static, str>>, message: impl fmt::Display) {
        if !allowed {
            self.add(field, message);
        }
    }
    /// Adds what is wrong inside `field`, which validates itself.
    pub fn inside(&mut self, field: &str, found: Result<(), Self>) {
        let Err(Self { fields, unlisted }) = found else { return };
        for Field { field: inner, message } in fields {
            let path = match inner.chars().next() {
                None => field.to_owned(),
                Some('[') => format!("{field}{inner}"),
                Some(_) => format!("{field}.{inner}"),
            };
            self.add(path, message);
        }
        self.unlisted += unlisted;
    }
    /// What is wrong, in the order in which it was added; at most a hundred.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
    /// `Ok` if nothing was added.
    ///
    /// # Errors
    /// Itself, if anything was.
    pub fn into_result(self) -> Result<(), Self> {
        if self.fields.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Calls the whole by the name of its place.
    pub(crate) fn of(mut self, source: Source) -> Self {
        for field in self.fields.iter_mut().filter(|field| field.field.is_empty()) {
            field.field = Cow::Borrowed(source.whole());
        }
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut glue = "";
        for Field { field, message } in &self.fields {
            write!(f, "{glue}{field}: {message}")?;
            glue = "; ";
        }
        if self.unlisted > 0 { write!(f, "{glue}and {} more", self.unlisted) } else { Ok(()) }
    }
}

impl From<Invalid> for Error {
    fn from(Invalid { fields, unlisted }: Invalid) -> Self {
        let error = match unlisted {
            0 => Self::invalid("some values are not allowed"),
            _ => {
                let all = fields.len() + unlisted;
                Self::invalid(format!("{all} values are not allowed; the first {MOST_FIELDS} are listed"))
            }
        };
        fields.into_iter().fold(error, |error, Field { field, message }| error.field(field, message))
    }
}

#[cfg(feature = "garde")]
impl<T: garde::Validate<Context: Default>> Validate for T {
    fn validate(&self) -> Result<(), Invalid> {
        garde::Validate::validate(self).map_err(Invalid::from)
    }
}

/// For types whose garde context is no `Default`: their [`Validate`] calls `validate_with`, and `?` does the rest.
#[cfg(feature = "garde")]
impl From<garde::Report> for Invalid {
    fn from(report: garde::Report) -> Self {
        let mut invalid = Self::default();
        for (path, error) in report.iter() {
            invalid.add(path.to_string(), error);
        }
        invalid
    }
}

macro_rules! by_what_is_inside {
    ($($wrapper:ident $source:ident;)*) => {
        $(impl<T: Validate> Validate for $wrapper<T> {
            fn validate(&self) -> Result<(), Invalid> {
                self.0.validate().map_err(|invalid| invalid.of(Source::$source))
            }
        })*
    };
}

by_what_is_inside! { Path Path; Query Query; Header Header; Cookie Cookie; Json Form; Form Form; Bind Form; }

/// An argument that is allowed as well as readable: `Valid(Json(order)): Valid<Json<NewOrder>>`. It goes around every
/// argument that has [`Validate`], and around structs with `#[derive(Bind)]` that have it themselves.
///
/// What is not allowed is a 422 that lists all fields: `{"message": .., "fields": [{"field": "items[2].sku", ..}]}`. It
/// may be absent if what is inside may: `Option<Valid<Json<NewOrder>>>`.
///
/// ```
/// use garde::Validate;
/// use seawall_http::{App, Json, Valid};
///
/// #[derive(serde::Deserialize, Validate)]
/// struct NewOrder {
///     #[garde(length(min = 1, max = 64))]
///     sku: String,
///     #[garde(range(min = 1, max = 5))]
///     quantity: u8,
/// }
///
/// let app = App::new().post("/orders", async |Valid(Json(order)): Valid<Json<NewOrder>>| {
///     format!("{} x {}", order.quantity, order.sku)
/// });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Valid<E>(pub E);

impl<Part, E: Extract<Part> + Validate> Extract<Part> for Valid<E> {
    async fn extract(c: &Context) -> Result<Self> {
        let found = E::extract(c).await?;
        found.validate()?;
        Ok(Self(found))
    }
    fn needs(needs: &mut Needs) {
        E::needs(needs);
    }
}

impl<Part, E: ExtractOptional<Part> + Validate> ExtractOptional<Part> for Valid<E> {
    async fn extract_optional(c: &Context) -> Result<Option<Self>> {
        let Some(found) = E::extract_optional(c).await? else { return Ok(None) };
        found.validate()?;
        Ok(Some(Self(found)))
    }
    fn needs(needs: &mut Needs) {
        E::needs(needs);
    }
}

impl Context {
    /// As [`Context::bind`], and refuses what is not allowed; see [`Validate`].
    ///
    /// # Errors
    /// As [`Context::bind`], and 422 listing every field that is not allowed.
    ///
    /// # Cancel safety
    /// As [`Context::body`].
    pub async fn bind_valid<T: DeserializeOwned + Validate>(&self) -> Result<T> {
        let bound = Bind::<T>::read(self).await?;
        bound.validate()?;
        Ok(bound.0)
    }
}
