//! The functions of a recording of allocations: their names are code's, their scripts paths.

use crate::Error;
use crate::header::Header;
use crate::lines::Place;
use crate::marks::Usages;
use crate::numbers::Records;
use crate::records::checked;

pub(crate) struct FunctionRecords<'a> {
    pub(crate) header: &'a Header,
    pub(crate) usages: &'a mut Usages,
}

impl Records for FunctionRecords<'_> {
    fn stride(&self) -> usize {
        self.header.function.as_ref().map_or(1, |layout| layout.stride)
    }

    fn changes(&self) -> [usize; 2] {
        self.header.function.as_ref().map_or([usize::MAX; 2], |layout| [layout.name, layout.last])
    }

    fn number(&mut self, field: usize, value: u64) -> Result<u64, Error> {
        use crate::marks::usage::{MADE, NAME, PATH};
        let Some(layout) = &self.header.function else {
            return Err(Error::Malformed { what: "functions that its meta does not describe" });
        };
        if field == layout.name || field == layout.last {
            let how = if field == layout.name { NAME | MADE } else { NAME | PATH };
            self.usages.add(checked(value)?, how)?;
            return Ok(Place::Name.of(value));
        }
        Ok(value)
    }
}
