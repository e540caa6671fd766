//! The derives of Seawall; use them through the `seawall` crate, where they are documented with examples that run.

mod bind;

use proc_macro::TokenStream;

/// Makes a struct an argument of a handler, each field from a place of the request that it names.
#[proc_macro_derive(Bind, attributes(bind))]
pub fn derive_bind(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    let expanded = bind::parse(&input).map(|parsed| bind::expand(&parsed));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
