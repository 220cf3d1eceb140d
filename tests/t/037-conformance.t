# One server does all that the distribution-spec asks for.
use v5.36;
use Registry limit => 120;
use Registry::Conformance;

conforms(Registry->start);
finish();
