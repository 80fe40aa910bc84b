'use strict';

// In the place of the SDK, which is large: whether it is found is what counts.
exports.Storage = class Storage {};
