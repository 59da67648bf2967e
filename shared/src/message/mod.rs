//! A message: its delivery status, phone number, text, template and sending window. Pure, no I/O.

pub mod phone;
pub mod place;
pub mod seq_range;
pub mod status;
pub mod template;
pub mod text;
pub mod window;
