package Bench::Install;
use v5.36;

# The peers that Debian doesn't have, in fixed versions, in a directory of their own.

use Bench;
use Exporter 'import';
use File::Path ();
use Registry::Tools qw(find_program);

our @EXPORT_OK = qw(installed install_peers);

my @PEERS = (
    { program => 'registry', module => 'github.com/distribution/distribution/v3/cmd/registry', version => 'v3.0.0' },
    { program => 'zot',      module => 'zotregistry.dev/zot/v2/cmd/zot',                        version => 'v2.1.8' },
);

# Where they are; also where somebody may have put a program that was built in another way.
sub _place () { return ($ENV{XDG_CACHE_HOME} // ($ENV{HOME} // '/tmp') . '/.cache') . '/docker-registry-server-bench' }

# A program of that name there, or in PATH.
sub installed ($program) {
    my $here = _place() . "/bin/$program";
    return -x $here ? $here : find_program($program);
}

# Says for each how it went. Go's sources and what it compiled are removed again. True when all are there.
sub install_peers () {
    my $go    = find_program('go') // (-x '/usr/local/go/bin/go' ? '/usr/local/go/bin/go' : die "go is not installed (Debian package golang)\n");
    my $place = _place();
    my $all   = 1;
    File::Path::make_path($place);
    local %ENV = (%ENV, GOBIN => "$place/bin", GOPATH => "$place/go", GOCACHE => "$place/build", GOFLAGS => '-modcacherw');
    for my $peer (@PEERS) {
        my $what = "$peer->{module}\@$peer->{version}";
        say "$peer->{program}: go install $what";
        my $good = eval { command($go, 'install', $what); 1 };
        print $good ? "$peer->{program}: $place/bin/$peer->{program}\n" : "$peer->{program}: $@";
        $all &&= $good;
    }
    File::Path::remove_tree("$place/go", "$place/build");
    return $all;
}

1;
