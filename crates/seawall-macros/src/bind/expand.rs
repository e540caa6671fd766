//! The implementation of `Extract`: reads the body first, then every field, then refuses or builds.
//!
//! The body's future is the only thing that is awaited, and nothing is held meanwhile, so that fields need not be
//! `Send`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::parse::{Bound, Default, Input, Source};

pub(crate) fn expand(input: &Input<'_>) -> TokenStream {
    let Input { name, generics, root, fields } = input;
    let (with, of, conditions) = generics.split_for_impl();
    let idents: Vec<_> = fields.iter().map(|field| field.ident).collect();
    // The user's names must not meet ours.
    let found: Vec<_> = idents.iter().map(|ident| format_ident!("found_{}", ident)).collect();
    let body = fields.iter().find(|field| matches!(field.source, Source::Body));
    let reads = if body.is_some() { quote!(WholeBody) } else { quote!(Head) };
    let read_body = body.map(|field| {
        let kind = field.kind;
        quote_spanned!(kind.span()=> let body = #root::extract::derive::body::<#kind>(c).await;)
    });
    let read = fields.iter().zip(&found).map(|(field, found)| {
        let value = read(field);
        quote!(let #found = #value;)
    });
    quote! {
        impl #with #root::extract::Extract<#root::extract::#reads> for #name #of #conditions {
            async fn extract(c: &#root::Context) -> ::core::result::Result<Self, #root::Error> {
                #read_body
                let mut reader = #root::extract::derive::Reader::new(c)?;
                #(#read)*
                match (#(#found,)*) {
                    (#(::core::option::Option::Some(#found),)*) => ::core::result::Result::Ok(Self { #(#idents: #found,)* }),
                    _ => ::core::result::Result::Err(reader.into_error()),
                }
            }
        }
    }
}

/// An `Option` of the field's value; `None` once the reader has taken note of what is wrong.
fn read(field: &Bound<'_>) -> TokenStream {
    let kind = field.kind;
    let (method, name) = match &field.source {
        Source::Path(name) => ("path", name),
        Source::Query(name) => ("query", name),
        Source::Header(name) => ("header", name),
        Source::Cookie(name) => ("cookie", name),
        Source::Body => return quote!(reader.keep(body)),
    };
    let default = match &field.default {
        None => None,
        Some(Default::OfType) => {
            Some(quote_spanned!(kind.span()=> <#kind as ::core::default::Default>::default))
        }
        Some(Default::Is(value)) => Some(quote!(|| #value)),
    };
    match default {
        None => {
            let method = format_ident!("{}", method, span = kind.span());
            quote_spanned!(kind.span()=> reader.#method::<#kind>(#name))
        }
        Some(default) => {
            let method = format_ident!("{}_or", method, span = kind.span());
            quote_spanned!(kind.span()=> reader.#method::<#kind>(#name, #default))
        }
    }
}
