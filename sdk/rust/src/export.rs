//! The macros that make a component of a plugin's type. On native targets, where tests run, they export nothing: they
//! check that the type is a plugin, and that the feature of its extension point is on.

/// Exports a [`Naming`](crate::naming::Naming) plugin. Needs the feature `naming`.
#[macro_export]
macro_rules! naming_plugin {
    ($plugin:ty) => {
        $crate::__plugin!($plugin, naming, Naming, NAMING, "naming", NamingComponent);
    };
}

/// Exports a [`Weighting`](crate::weighting::Weighting) plugin. Needs the feature `weighting`.
#[macro_export]
macro_rules! weighting_plugin {
    ($plugin:ty) => {
        $crate::__plugin!($plugin, weighting, Weighting, WEIGHTING, "weighting", WeightingComponent);
    };
}

/// Exports a [`Policy`](crate::policy::Policy) plugin. Needs the feature `policy`.
#[macro_export]
macro_rules! policy_plugin {
    ($plugin:ty) => {
        $crate::__plugin!($plugin, policy, Policy, POLICY, "policy", PolicyComponent);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    ($plugin:ty, $point:ident, $trait:ident, $built:ident, $feature:literal, $component:ident) => {
        const _: () = {
            const fn is_plugin<T: $crate::$point::$trait>() {}
            is_plugin::<$plugin>();
            assert!(
                $crate::export::$built,
                concat!("servos-plugin-sdk lacks a feature: say `features = [\"", $feature, "\"]` in Cargo.toml")
            );
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            struct Component;

            impl $crate::component::Holds for Component {
                type Plugin = $plugin;

                fn with<R>(act: impl ::std::ops::FnOnce(&mut ::std::option::Option<$plugin>) -> R) -> R {
                    PLUGIN.with_borrow_mut(act)
                }
            }

            $crate::component::$point::$component!(Component);
        };
    };
}

/// Whether this crate was built with the feature `naming`.
pub const NAMING: bool = cfg!(feature = "naming");

/// Whether this crate was built with the feature `weighting`.
pub const WEIGHTING: bool = cfg!(feature = "weighting");

/// Whether this crate was built with the feature `policy`.
pub const POLICY: bool = cfg!(feature = "policy");
