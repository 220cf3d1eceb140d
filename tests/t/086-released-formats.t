# A store that an older release has written is read by this one: a sample of each released format.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::SampleStore;
use Registry::Tools;
use FindBin;
use Test::More;

sub Stopped::dir ($self) { return $self->{dir} }

my @stores = glob "$FindBin::Bin/../data/store-*.tar.gz";
ok(@stores > 0, 'there are samples');
for my $store (@stores) {
    subtest $store =~ s{.*/}{}r => sub {
        my $dir = tempdir() . '/data';
        mkdir $dir or die "$dir: $!";
        is(run([ 'tar', '-C', $dir, '--no-same-owner', '-xzf', $store ])->{exit}, 0, 'unpacked');
        run([ 'chown', '-R', 'www-data:', $dir ]) if is_root();
        my $before = Registry->try([ 'fsck', '--dir', $dir ]);
        is($before->{out} =~ s/^index-missing .*\n//mgr =~ s/: \d+ findings/: 0 findings/r =~ /\Achecked .*: 0 findings/ ? '' : $before->{out} . $before->{err}, '', 'fsck finds nothing');
        my $hooks = Registry->try([ 'hooks', '--dir', $dir ]);
        works($hooks, 'the hooks that are to run');
        like($hooks->{out}, qr{sample/image:v1}, '... are known');
        my $registry = Registry->start(dir => $dir, args => [ is_root() ? ('--run-as', 'www-data') : (), '--upload-expiry', '36500d', '--lease', '1s', '--history-keep', '0', '--gc-interval', '1s' ]);
        check_store($registry);
        is_tidy($registry);
        $registry->stop;
        is_sound(bless { dir => $dir }, 'Stopped');
    };
}
finish();
