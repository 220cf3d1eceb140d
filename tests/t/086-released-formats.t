# A store that an older release has written is read by this one: a sample of each released format.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::SampleHistory;
use Registry::SampleStore;
use Registry::Tools;
use FindBin;
use Test::More;

sub Stopped::dir ($self) { return $self->{dir} }

# The directory of a sample, unpacked for the user of the server.
sub unpack_sample ($store) {
    my $dir = tempdir() . '/data';
    mkdir $dir or die "$dir: $!";
    is(run([ 'tar', '-C', $dir, '--no-same-owner', '-xzf', $store ])->{exit}, 0, 'unpacked');
    run([ 'chown', '-R', 'www-data:', $dir ]) if is_root();
    my $before = Registry->try([ 'fsck', '--dir', $dir ]);
    is($before->{out} =~ s/^index-missing .*\n//mgr =~ s/: \d+ findings/: 0 findings/r =~ /\Achecked .*: 0 findings/ ? '' : $before->{out} . $before->{err}, '', 'fsck finds nothing');
    return $dir;
}

sub start_sample ($dir, @args) {
    return Registry->start(dir => $dir, args => [ is_root() ? ('--run-as', 'www-data') : (), '--upload-expiry', '36500d', '--lease', '1s', '--gc-interval', '1s', @args ]);
}

sub is_at_rest ($registry) {
    is_tidy($registry);
    $registry->stop;
    is_sound(bless { dir => $registry->dir }, 'Stopped');
    return;
}

my @stores = glob "$FindBin::Bin/../data/store-*.tar.gz";
ok(@stores > 0, 'there are samples');
for my $store (@stores) {
    subtest $store =~ s{.*/}{}r => sub {
        my $dir   = unpack_sample($store);
        my $hooks = Registry->try([ 'hooks', '--dir', $dir ]);
        works($hooks, 'the hooks that are to run');
        like($hooks->{out}, qr{sample/image:v1}, '... are known');
        my $registry = start_sample($dir, '--history-keep', '0');
        check_store($registry);
        is_at_rest($registry);
    };
}

@stores = glob "$FindBin::Bin/../data/history-*.tar.gz";
ok(@stores > 0, 'there are samples with a history');
for my $store (@stores) {
    subtest $store =~ s{.*/}{}r => sub {
        my $dir      = unpack_sample($store);
        my $registry = start_sample($dir, history_options());
        check_history($registry);
        is_at_rest($registry);
    };
    subtest(($store =~ s{.*/}{}r) . ', the snapshot in it' => sub {
        my $dir = unpack_sample($store);
        my ($snapshot) = Registry->try([ 'snapshot', '--list', '--dir', $dir ])->{out} =~ /^(\d{8}T\d{6}Z)/m;
        ok($snapshot, 'it is listed');
        works(Registry->try([ 'restore', '--snapshot', $snapshot, '--dir', $dir ]), '... and put back');
        my $registry = start_sample($dir, history_options());
        check_history($registry);
        is_at_rest($registry);
    });
}

# ---- a newer format ----

subtest 'a store of a newer format' => sub {
    my $dir = unpack_sample($stores[0]);
    spew("$dir/db/format", slurp("$dir/db/format") =~ s/format 1$/format 2/mr);
    for my $case ([ '--listen', '127.0.0.1', '--port', '0' ], ['fsck'], [ 'tag', 'ls', 'sample/app' ], [ 'repo', 'ls' ], ['stat'], ['gc'], [ 'backup', "$dir.backup" ]) {
        my $ran = Registry->try([ @$case, '--dir', $dir ]);
        is($ran->{exit}, 1, "@$case: refused");
        like($ran->{err}, qr/was written by a newer version \(format 2/, '... and why');
        is(scalar(grep { !/level=info/ } split /\n/, $ran->{err}), 1, '... in one line') or diag($ran->{err});
    }
};
finish();
