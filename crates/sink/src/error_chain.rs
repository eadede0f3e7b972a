//! The causes of an error, one behind the other.

use std::error::Error;

/// An error and its causes, down to the innermost.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // An I/O error hides the error that it wraps: its `source` is that one's source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(without_bounds).or_else(|| error.source())
    })
}

fn without_bounds<'a>(error: &'a (dyn Error + Send + Sync + 'static)) -> &'a (dyn Error + 'static) {
    error
}

/// The innermost error. Errors of the AWS SDK and of the HTTP client say nothing at the top.
pub(crate) fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

/// The innermost I/O error.
pub(crate) fn find_io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a std::io::Error> {
    chain(error).filter_map(|error| error.downcast_ref::<std::io::Error>()).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_is_found_inside_io_errors() {
        let innermost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let twice = std::io::Error::other(std::io::Error::other(innermost));
        assert_eq!(root_cause(&twice).to_string(), "connection reset");
        assert_eq!(find_io_error(&twice).unwrap().kind(), std::io::ErrorKind::ConnectionReset);
    }
}
